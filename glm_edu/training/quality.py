"""What Tang GLM writes, measured: its form, its rhyme, and what it copied. ``python -m glm_edu.training.quality``.

The first line of a quatrain of the test split, which no training has seen, is given, and [gMASK] stands for the rest.
What the model puts there counts as generated, from line 2 on. Nothing in the prompt says how many lines there should
be, and the model was trained on poems of four and of eight, so either is right. It is sampled as the official ``chat``
of ChatGLM-6B samples, and <unk> is banned. Every rate stands beside the same rate in the poems that the first lines
were taken from.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.generate import generate
from glm_edu.model.transformer import Transformer
from glm_edu.record import record
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.bootstrap import drawn_poems, share_interval, with_interval
from glm_edu.training.command import measure_and_show, measuring_parser, target_lines
from glm_edu.training.held_out import held_out
from glm_edu.training.poems import poems
from glm_edu.training.rhymes import rhymes
from glm_edu.training.rounding import rounded
from glm_edu.training.vocabulary import tang_tokenizer

NEVER = -1e4  # a logit so low that it is never sampled
RIGHT, RATIO = 0.95, 2  # aimed at: the share of poems with the right form, and rhyme against its control
COUPLETS = (2, 4)  # of the forms that Tang GLM has seen
POINTS = ("four lines or eight", "every line as long as the first", "punctuation", "ended by <eop>", "all of it")


@dataclass(frozen=True)
class Sampling:
    """How the poems are written; the defaults are those of the official ``chat`` of ChatGLM-6B."""

    temperature: float = 0.95
    top_k: int = 50
    top_p: float = 0.7
    seed: int = 0


def write_on(
    model: Transformer, tokenizer: CharacterTokenizer, first_lines: Sequence[str], sampling: Sampling | None = None
) -> list[str]:
    """Each first line with what the model writes on, up to and with <eop>; a poem that never ends has none.

    Args:
        first_lines: lines of one length, without their punctuation.

    Raises:
        InputError: no lines, lines of several lengths, or characters that the tokenizer does not have.
    """
    sampling = sampling or Sampling()
    if len({len(line) for line in first_lines}) != 1:
        raise InputError("write_on needs at least one first line, all of one length: they are one batch.")
    prompts = torch.tensor([tokenizer.encode(f"{line}，[gMASK]") for line in first_lines])  # b s
    room = 9 * (len(first_lines[0]) + 1)  # seven lines, and two more, so that a poem that is too long is seen
    with record(model, names=(), replace={"logits": without(tokenizer.unk_id)}):
        ids = generate(
            model, prompts, room, sampling.temperature, sampling.top_k, sampling.top_p,
            generator=torch.Generator().manual_seed(sampling.seed),
        )  # fmt: skip
    new = ("".join(tokenizer.tokens[i] for i in row) for row in ids[:, prompts.shape[1] :].tolist())
    return [f"{line}，{re.sub('(<pad>)*$', '', text)}" for line, text in zip(first_lines, new, strict=True)]


def without(token: int) -> Callable[[Tensor], Tensor]:
    """For ``record(replace=...)``: logits in which ``token`` is never chosen."""
    return lambda logits: logits.index_fill(-1, torch.tensor([token]), NEVER)


def lines_of(text: str) -> list[str]:
    """The lines of what was written, without punctuation and <eop>."""
    return re.findall("[^，。]+", text.removesuffix("<eop>"))


def form(text: str, width: int) -> dict[str, bool]:
    """What is right about the form of a poem of ``width`` characters a line."""
    lines, marks, body = lines_of(text), re.sub("[^，。]", "", text), text.removesuffix("<eop>")
    right = (
        len(lines) in [2 * couplets for couplets in COUPLETS],
        {len(line) for line in lines} == {width},
        marks in ["，。" * couplets for couplets in COUPLETS] and body.endswith("。"),
        text.endswith("<eop>"),
    )
    return dict(zip(POINTS, (*right, all(right)), strict=True))


def measure_form(texts: Sequence[str]) -> dict[str, Any]:
    """The share of poems that are right in each point, with 95 % for all of them; and the quatrains among those.

    A poem's first line sets its width.
    """
    forms = [form(text, len(lines_of(text)[0])) for text in texts]
    shares = {point: sum(found[point] for found in forms) / len(forms) for point in forms[0]}
    right = right_poems(texts)
    return shares | {
        "interval": share_interval(sum(found["all of it"] for found in forms), len(forms)),
        "quatrains": sum(len(lines_of(text)) == 4 for text in right) / max(1, len(right)),
    }


def right_poems(texts: Iterable[str]) -> list[str]:
    """Those whose form is right in every point: only they have a line 2 and a line 4 to compare."""
    return [text for text in texts if form(text, len(lines_of(text)[0]))["all of it"]]


def rhyming_pairs(texts: Sequence[str]) -> Float[Tensor, "poems poems"]:
    """1 where the end of line 2 of the row's poem rhymes with the end of line 4 of the column's."""
    ends = [(lines_of(text)[1][-1], lines_of(text)[3][-1]) for text in texts]
    return torch.tensor([[float(rhymes(second, fourth)) for _, fourth in ends] for second, _ in ends])


def measure_rhyme(texts: Sequence[str]) -> dict[str, Any]:
    """How often lines 2 and 4 rhyme, beside lines 2 and 4 of different poems, over all pairs; 95 % over poems.

    Raises:
        InputError: fewer than two poems.
    """
    if len(texts) < 2:
        raise InputError(f"Rhyme is compared between poems of the right form, and there are {len(texts)} of them.")
    pairs = rhyming_pairs(texts)  # poems poems
    drawn = drawn_poems(len(texts))  # draws poems
    rate = drawn @ pairs.diagonal() / len(texts)  # draws
    crossed = ((drawn @ pairs) * drawn).sum(1) - drawn.square() @ pairs.diagonal()  # draws   not a poem with its copy
    control = crossed / (len(texts) ** 2 - drawn.square().sum(1)).clamp(min=1)  # draws
    found: dict[str, Any] = {"poems": len(texts)}
    for name, values in (("rate", rate), ("control", control), ("ratio", rate / control)):
        value, *interval = with_interval(values)
        found |= {name: value, f"{name} interval": interval}
    return found


def longest_shared(texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """For each text, the length of the longest run of characters that stands in one of ``others`` too."""
    longest = [0] * len(texts)
    starts = [(other, i) for other in others for i in range(len(other))]  # where runs that are shared so far begin
    for length in count(1):
        owners: dict[str, list[int]] = defaultdict(list)  # run -> the texts that hold it
        for number, text in enumerate(texts):
            for i in range(len(text) - length + 1):
                owners[text[i : i + length]].append(number)
        starts = [(other, i) for other, i in starts if other[i : i + length] in owners]
        if not starts:
            break
        for run in {other[i : i + length] for other, i in starts}:
            for number in owners[run]:
                longest[number] = length
    return longest


def measure_copies(texts: Sequence[str]) -> dict[str, Any]:
    """The share of lines after the first that are lines of training poems, and the runs that poems share with them."""
    training = poems("train")
    lines = {line for poem in training for line in poem.lines}
    written = [line for text in texts for line in lines_of(text)[1:]]
    copied = sum(line in lines for line in written)
    runs = longest_shared(["".join(lines_of(text)[1:]) for text in texts], ["".join(p.lines) for p in training])
    return {
        "lines": len(written), "copied": copied, "share": copied / len(written),
        "interval": share_interval(copied, len(written)),
        "mean run": sum(runs) / len(runs), "longest run": max(runs),
    }  # fmt: skip


def measure_quality(model: Transformer, sampling: Sampling | None = None, most: int = 200) -> dict[str, Any]:
    """Write on from the first lines of up to ``most`` quatrains of each width, and measure what was written."""
    sampling, tokenizer = sampling or Sampling(), tang_tokenizer()
    given = {width: held_out(f"4x{width}", most, lines=1) for width in (5, 7)}
    written = {w: write_on(model, tokenizer, [poem.lines[0] for poem in given[w]], sampling) for w in given}
    texts, real = [t for w in given for t in written[w]], [f"{p.text}<eop>" for w in given for p in given[w]]
    right = right_poems(texts)
    return rounded({
        "settings": asdict(sampling) | {"poems": {f"4x{w}": len(given[w]) for w in given}},
        "form": {f"4x{w}": measure_form(written[w]) for w in given} | {"both": measure_form(texts)},
        "rhyme": {"generated": measure_rhyme(right), "real": measure_rhyme(real)},
        "copies": {"generated": measure_copies(right), "real": measure_copies(real)},
        "texts": texts,
    })  # fmt: skip


def quality_targets(results: dict[str, Any]) -> list[tuple[bool, str, str]]:
    """What was aimed at: whether it is met, what it is, and the figure."""
    right, rhyme = results["form"]["both"][POINTS[-1]], results["rhyme"]["generated"]
    return [
        (right >= RIGHT, f"right form in {RIGHT:.0%} of the poems", f"{right:.1%}"),
        (rhyme["ratio"] >= RATIO, f"rhyme {RATIO} times as often as across poems", f"{rhyme['ratio']:.1f} times"),
    ]


def quality_table(results: dict[str, Any]) -> str:
    """The measurements as text."""
    settings, rhyme, copies = (results[key] for key in ("settings", "rhyme", "copies"))
    counts = " and ".join(f"{number} {name}" for name, number in settings["poems"].items())
    rows = [
        f"Poems written on from first lines of test quatrains ({counts}; temperature {settings['temperature']}, "
        f"top-k {settings['top_k']}, top-p {settings['top_p']}, seed {settings['seed']}; <unk> banned)",
        "", f"{'form':<34}{'4x5':>9}{'4x7':>9}{'both':>9}",
    ]  # fmt: skip
    for point in POINTS:
        rows.append(f"  {point:<32}" + "".join(f"{shares[point]:>9.1%}" for shares in results["form"].values()))
    rows[-1] += f"   95 % {_range(results['form']['both']['interval'])}"
    quatrains = (f"{shares['quatrains']:>9.1%}" for shares in results["form"].values())
    rows.append(f"  {'quatrains among these':<32}{''.join(quatrains)}")
    rows += ["", f"{'rhyme of lines 2 and 4':<34}{'rate':>8}  {'95 %':<15}{'control':>8}  {'95 %':<15}ratio  95 %"]
    for name, found in rhyme.items():
        low, high = found["ratio interval"]
        parts = (f"{found[key]:>8.1%}  {_range(found[f'{key} interval']):<15}" for key in ("rate", "control"))
        rows.append(f"  {name:<32}{''.join(parts)}{found['ratio']:>5.2f}  {low:.2f} to {high:.2f}")
    rows += ["", f"{'lines that stand in training poems':<34}{'share':>8}  {'95 %':<15}{'lines':>8}  mean, longest run"]
    for name, found in copies.items():
        share = f"{found['share']:>8.1%}  {_range(found['interval']):<15}{found['lines']:>8}"
        rows.append(f"  {name:<32}{share}  {found['mean run']:.1f}, {found['longest run']} characters")
    return "\n".join(rows)


def _range(interval: Sequence[float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and store with ``--write``."""
    wanted = measuring_parser("quality", "Form, rhyme and copies of what Tang GLM writes.").parse_args(arguments)
    return measure_and_show(
        "quality",
        lambda: measure_quality(Transformer.from_pretrained("tang-glm")),
        lambda results: "\n".join([quality_table(results), "", *target_lines(quality_targets(results))]),
        wanted.write,
    )


if __name__ == "__main__":
    sys.exit(main())
