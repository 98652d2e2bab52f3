"""Tang GLM measured on poems that no training has seen: ``python -m glm_edu.training.evaluate``.

Blanks of one character, of two, and of a line within the poem ([MASK]), and all that follows the second line ([gMASK]).
A blank is scored character by character, each with the right ones before it (the chain rule). Counted are characters
of the vocabulary: punctuation is nearly certain in a poem and would flatter every row, <eop> as well, and <unk> is no
answer. Every row sees the same blanks. Networks read the same ids: what is left of the poem, <sop>, the blank.
Behind it come ``quality`` and ``heads``, which are commands of their own too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from glm_edu.errors import InputError
from glm_edu.model.transformer import Transformer
from glm_edu.training import heads, quality
from glm_edu.training.baselines import BASELINES, BOTH, LEFT, Baselines, encoded
from glm_edu.training.batches import collate
from glm_edu.training.blanks import CONTINUATION, LENGTHS, TASKS, Blank, draw_blanks, is_counted, sites_of
from glm_edu.training.bootstrap import RESAMPLES, drawn_poems, with_interval
from glm_edu.training.command import measure_and_show, measuring_parser, target_lines
from glm_edu.training.corrupt import corrupt
from glm_edu.training.poems import Poem, poems
from glm_edu.training.publish import load_run
from glm_edu.training.rounding import rounded, signed
from glm_edu.training.scores import MEASURES, Scores, joined, score, statistics
from glm_edu.training.settings import training_config
from glm_edu.training.vocabulary import tang_tokenizer

BATCH = 32  # poems at a time
SUBSET = 8  # every eighth poem is enough to see that a machine computes what is stored
INFILLING = "infilling"  # the mean over the three kinds of [MASK] blanks
NETWORKS = ("tang-glm", "tang-glm2")
ABLATIONS = ("reference", "one-clock", "causal", "pre-norm")
MARGIN = 0.4  # nats a character that a network should be ahead of every n-gram in infilling
TITLES = {INFILLING: "mean of the three blanks"}
Table = dict[str, dict[str, Scores]]  # row, task
Statistics = dict[str, dict[str, Tensor]]  # task, measure


class Trial:
    """Test poems, sorted by form so that a batch needs little padding, and their blanks.

    Args:
        every: use one poem in so many.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise InputError(f"every={every} must be at least 1.")
        self.poems: list[Poem] = sorted(poems("test"), key=lambda poem: poem.form)[::every]
        self.texts = encoded(self.poems)
        self.blanks = {task: draw_blanks(self.poems, task) for task in TASKS}
        self.sites = {task: sites_of(self.texts, self.blanks[task], tang_tokenizer()) for task in TASKS}

    def network(self, model: Transformer, name: str, progress: bool = True) -> dict[str, Scores]:
        """The scores of a network on each task."""
        batches = {task: [*_batches(self.blanks[task])] for task in TASKS}
        total = sum(map(len, batches.values()))
        with tqdm(total=total, desc=name, unit="batch", disable=not progress) as bar:
            return {task: joined(self._scores(model, task, batches[task], bar)) for task in TASKS}

    def baseline(self, baselines: Baselines, row: str, progress: bool = True) -> dict[str, Scores]:
        """The scores of a baseline on each task. Where nothing stands on the right, both sides are the left side."""
        rows = {task: LEFT if (row, task) == (BOTH, CONTINUATION) else row for task in TASKS}
        return {task: baselines.scores(rows[task], self.sites[task], progress) for task in TASKS}

    def _scores(self, model: Transformer, task: str, batches: list[list[Blank]], bar: tqdm) -> Iterator[Scores]:
        tokenizer, mask = tang_tokenizer(), "[gMASK]" if task == CONTINUATION else "[MASK]"
        counted = torch.from_numpy(is_counted(tokenizer))
        for blanks in batches:
            examples = [corrupt(self.texts[n], [(start, length)], tokenizer, mask) for n, start, length in blanks]
            ids, positions, labels = collate(examples, tokenizer.pad_id)
            with torch.no_grad():
                logits = model(ids, position_ids=positions if model.config.rotary_channels == 2 else None)[:, :-1]
            labels = labels[:, 1:]  # b s-1   each the id that comes next
            here = (labels >= 0) & counted[labels.clamp(min=0)]
            yield score(logits[here].log_softmax(-1).numpy(), labels[here].numpy())
            bar.update()


def _batches(blanks: Sequence[Blank]) -> Iterator[list[Blank]]:
    yield from ([*blanks[start : start + BATCH]] for start in range(0, len(blanks), BATCH))


def figures(trial: Trial, table: Table, compared: str) -> dict[str, Any]:
    """What is stored of a table: each figure with its interval, and how far ``compared`` is ahead of each other row.

    Ahead is better: lower in cross-entropy, higher in accuracy. The intervals of differences are paired: both rows on
    the same poems, drawn again together.
    """
    number = len(trial.poems)
    drawn = drawn_poems(number)  # draws poems
    found = {row: _statistics(trial, scores, drawn) for row, scores in table.items()}
    ahead = {row: _ahead(found[compared], of) for row, of in found.items() if row != compared}
    some = torch.zeros(1, number)
    some[:, ::SUBSET] = 1
    subset = {row: _statistics(trial, scores, some) for row, scores in table.items()}
    return {
        "poems": number, "resamples": RESAMPLES,
        "tasks": {t: {"blanks": len(trial.blanks[t]), "characters": len(trial.sites[t].poem)} for t in TASKS},
        "rows": _each(with_interval, found), "ahead": _each(with_interval, ahead),
        "subset": _each(torch.Tensor.item, subset),
    }  # fmt: skip


def _statistics(trial: Trial, scores: dict[str, Scores], drawn: Float[Tensor, "draws poems"]) -> Statistics:
    """Of each task, and of the mean over the blanks."""
    found = {task: statistics(scores[task], trial.sites[task].poem, drawn) for task in TASKS}
    mean = {name: torch.stack([found[task][name] for task in LENGTHS]).mean(0) for name in MEASURES}
    return found | {INFILLING: mean}


def _ahead(ours: Statistics, theirs: Statistics) -> Statistics:
    return {
        task: {name: (theirs[task][name] - ours[task][name]) * (1 if name == MEASURES[0] else -1) for name in MEASURES}
        for task in ours
    }


def _each(do: Callable[[Tensor], Any], data: Any) -> Any:
    """``data`` with every tensor in its dicts replaced by what ``do`` makes of it."""
    return {key: _each(do, value) for key, value in data.items()} if isinstance(data, dict) else do(data)


def evaluate(every: int = 1, progress: bool = True) -> dict[str, Any]:
    """All rows of the book's table."""
    trial, baselines = Trial(every), Baselines(progress=progress)
    networks = {name: Transformer.from_pretrained(name) for name in NETWORKS}
    table = {row: trial.baseline(baselines, row, progress) for row in BASELINES}
    table |= {name: trial.network(model, name, progress) for name, model in networks.items()}
    return figures(trial, table, compared=NETWORKS[0]) | {
        "numbers": baselines.numbers() | {name: model.config.parameter_count for name, model in networks.items()},
        "exponents": {str(distance): values for distance, values in baselines.both.exponents.items()},
    }


def ablation(runs: Path, every: int = 1, progress: bool = True) -> dict[str, Any]:
    """The short runs that differ in one choice, from the checkpoints in ``runs``."""
    trial = Trial(every)
    models = {name: load_run(f"ablation-{name}", runs / f"ablation-{name}") for name in ABLATIONS}
    table = {name: trial.network(model, name, progress) for name, model in models.items()}
    steps = training_config(f"ablation-{ABLATIONS[0]}").steps
    return {"steps": steps} | figures(trial, table, compared=ABLATIONS[0])


def targets(results: dict[str, Any]) -> list[tuple[bool, str, str]]:
    """What was aimed at, for each kind of blank and their mean: whether it is met, what it is, and the figure.

    At least ``MARGIN`` nats a character below the best row without a network, and a higher top-1 accuracy than any. The
    figure is the difference to the best row with its interval, so that one that chance could have made is seen.
    """
    found = []
    for task in (*LENGTHS, INFILLING):
        of, what = {row: results["rows"][row][task] for row in BASELINES}, TITLES.get(task, task)
        surest = min(of, key=lambda row: of[row]["cross-entropy"][0])
        rightest = max(of, key=lambda row: of[row]["top-1"][0])
        nats = results["ahead"][surest][task]["cross-entropy"]
        share = results["ahead"][rightest][task]["top-1"]
        met = nats[0] >= MARGIN, share[0] > 0
        found.append((met[0], f"{what}: cross-entropy {MARGIN} nats below every n-gram", signed(nats, ".2f")))
        found.append((met[1], f"{what}: top-1 above every n-gram", signed(share, ".1%")))
    return found


def text_table(results: dict[str, Any]) -> str:
    """The results as text: nats a character, then top-1 and top-5, of each task."""
    tasks = (*TASKS, INFILLING)
    lines = [
        f"{results['poems']} poems of the test split; nats a character, top-1, top-5",
        f"{'':<20}" + "".join(f"{task:>22}" for task in tasks),
    ]
    for row, of in results["rows"].items():
        lines.append(f"{row:<20}" + "".join(_cell(of[task]) for task in tasks))
    for row, of in results["ahead"].items():
        low_high = (of[task]["cross-entropy"] for task in tasks)
        lines.append(f"ahead of {row}".ljust(20) + "".join(f"{v:>+8.2f} ({a:+.2f}, {b:+.2f})" for v, a, b in low_high))
    return "\n".join(lines)


def _cell(of: dict[str, Sequence[float]]) -> str:
    nats, top1, top5 = (of[name][0] for name in MEASURES)
    return f"{nats:>8.2f}{top1:>7.1%}{top5:>7.1%}"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and store with ``--write``; then what Tang GLM writes, and what its heads learned."""
    parser = measuring_parser("evaluate", "Tang GLM against n-grams on held-out poems.")
    parser.add_argument("--ablation", action="store_true", help="measure the ablation runs instead")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the ablation runs lie (default: runs)")
    parser.add_argument("--every", type=int, default=1, help="one poem in so many, for a quick look; never stored")
    wanted = parser.parse_args(arguments)
    if wanted.write and wanted.every != 1:
        parser.error("--write stores the whole test split; leave --every out.")
    if wanted.ablation:
        return measure_and_show(
            "ablation", lambda: rounded(ablation(wanted.runs, wanted.every)), text_table, wanted.write
        )
    failed = measure_and_show(
        "evaluation",
        lambda: rounded(evaluate(wanted.every)),
        lambda results: "\n".join([text_table(results), *target_lines(targets(results))]),
        wanted.write,
    )
    if failed or wanted.every != 1:
        return failed
    return max(part.main(["--write"] if wanted.write else []) for part in (quality, heads))


if __name__ == "__main__":
    sys.exit(main())
