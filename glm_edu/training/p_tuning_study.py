"""What a prefix learns and what it costs: ``python -m glm_edu.training.p_tuning_study``. Chapter 14 shows it.

Prefixes of several lengths, with and without projection, from three seeds; other tasks; other learning rates; and the
run of the chapter at several of its steps. All of it is measured on test poems, but the learning rates, which were
chosen by it, on validation poems.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import torch

from glm_edu.model.transformer import Transformer
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.batches import Batch, Batches, MakeExample, draw_example
from glm_edu.training.command import measure_and_show, measuring_parser
from glm_edu.training.corrupt import Example
from glm_edu.training.held_out import held_out
from glm_edu.training.p_tuning import (
    P_TUNING,
    RATES,
    answers,
    draw_answer,
    finishes_poem,
    is_one_line,
    mean_loss,
    prefix_mass,
    tune,
)
from glm_edu.training.poems import Poem, Split, poems
from glm_edu.training.rounding import rounded
from glm_edu.training.settings import TrainingConfig
from glm_edu.training.shades import pack
from glm_edu.training.vocabulary import tang_tokenizer

LENGTHS, SEEDS, TRIED = (1, 2, 4, 8, 16, 32), 3, (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
STEPS = (0, 5, 10, 15, 20, 30, 40, 60)  # of the chapter's run, looked at
BATCHES, ASKED = 12, 40  # batches of each probe; poems of five and of seven characters that are asked for
GIVEN, ANSWER = "白日依山尽，", "黄河入海流。"  # Wang Zhihuan; in the test split
KINDS = {"without": False, "with projection": True}
WINE = set("酒醉杯樽")


def mixed(poem: Poem, tokenizer: CharacterTokenizer, draw: random.Random, blank_share: float) -> Example:
    """The chapter's task half of the time, and what Tang GLM was trained on the other half."""
    chosen = draw_answer if draw.random() < 0.5 else draw_example
    return chosen(poem, tokenizer, draw, blank_share)


@dataclass(frozen=True)
class Task:
    """Which poems are learned from and measured on, and what is asked about them."""

    example: MakeExample
    wanted: Callable[[Poem], bool] = lambda poem: True

    def batches(self, split: Split, seed: int = 0, blank_share: float = 0.0) -> Batches:
        """The task's batches of a split; ``blank_share`` matters to ``draw_example`` alone."""
        chosen = [poem for poem in poems(split) if self.wanted(poem)]
        return Batches(chosen, tang_tokenizer(), P_TUNING.batch_tokens, blank_share, seed, self.example)

    def probe(self, split: Split, blank_share: float = 0.0) -> list[Batch]:
        """Batches to measure on, the same each time: the first few, or all where there are fewer."""
        batches = self.batches(split, blank_share=blank_share)
        return [batches[i] for i in range(min(BATCHES, batches.steps_per_epoch))]


ANSWERING, WRITING = Task(draw_answer), Task(draw_example)
TASKS = {
    "answer a line with a line": ANSWERING,
    "write on like Bai Juyi": Task(draw_example, lambda poem: poem.author == "白居易"),
    "write on in poems of wine": Task(draw_example, lambda poem: bool(WINE & set(poem.text))),
}


def skills(model: Transformer) -> dict[str, float]:
    """Nats a label on the task and on two old skills; and the shares of requests that are met, new and old."""
    found = {
        "answer": mean_loss(model, ANSWERING.probe("test")),
        "blanks": mean_loss(model, WRITING.probe("test", blank_share=1.0)),
        "rests": mean_loss(model, WRITING.probe("test")),
    }
    one: list[bool] = []
    whole: list[bool] = []
    for form in ("4x5", "4x7"):
        lines = [poem.lines for poem in held_out(form, ASKED)]
        first, two = [f"{a}，" for a, *_ in lines], [f"{a}，{b}。" for a, b, *_ in lines]
        one += map(is_one_line, first, answers(model, tang_tokenizer(), first))
        whole += map(finishes_poem, two, answers(model, tang_tokenizer(), two))
    return found | {"one line": mean(one), "whole poem": mean(whole)}


def _base() -> Transformer:
    return Transformer.from_pretrained("tang-glm")


def run(length: int, projection: bool, seed: int = 0, rate: float | None = None) -> TrainingConfig:
    """The chapter's run with another prefix, seed or learning rate."""
    prefix = replace(P_TUNING.model, prefix_length=length, prefix_projection=projection)
    return replace(P_TUNING, model=prefix, seed=seed, learning_rate=rate or RATES[projection])


def measure_length(length: int, projection: bool) -> dict[str, Any]:
    """The parameters of such a prefix, and what each seed's run can do; the map is that of the first seed."""
    found: dict[str, Any] = {"seeds": []}
    for seed in range(SEEDS):
        model = _base()
        tune(model, run(length, projection, seed), ANSWERING.batches("train", seed))
        found["seeds"].append(skills(model))
        if not seed:
            assert model.prefix is not None
            found["parameters"] = sum(p.numel() for p in model.prefix.parameters())
            found["mass"] = prefix_mass(model, example_ids())[1].tolist()
    return found


def measure_rate(projection: bool, rate: float) -> dict[str, float]:
    """The task on validation poems after a run with this learning rate, and the blanks there."""
    model = _base()
    tune(model, run(P_TUNING.model.prefix_length, projection, rate=rate), ANSWERING.batches("train"))
    probes = {"answer": ANSWERING.probe("validation"), "blanks": WRITING.probe("validation", blank_share=1.0)}
    return {name: mean_loss(model, batches) for name, batches in probes.items()}


def measure_task(task: Task) -> dict[str, Any]:
    """Nats a label before and after, on the task's own test poems, and on the blanks of all of them."""
    model, own, blanks = _base(), task.probe("test"), WRITING.probe("test", blank_share=1.0)
    before = [mean_loss(model, own), mean_loss(model, blanks)]
    train = task.batches("train")
    tune(model, P_TUNING, train)
    count = sum(map(len, train.forms.values()))
    return {"poems": count, "before": before, "after": [mean_loss(model, own), mean_loss(model, blanks)]}


def measure_mixed() -> dict[str, float]:
    """What a prefix can do that saw old examples as often as new ones, for twice the steps."""
    model, task = _base(), Task(mixed)
    tune(model, replace(P_TUNING, steps=2 * P_TUNING.steps), task.batches("train", blank_share=P_TUNING.blank_share))
    return skills(model)


def example_ids() -> torch.Tensor:
    """The couplet of the film, [1 s], as the network reads it: without its <eop>."""
    tokenizer = tang_tokenizer()
    ids = tokenizer.encode(f"{GIVEN}[gMASK]") + tokenizer.encode(ANSWER, add_special_tokens=False)
    return torch.tensor([ids])


def film(config: TrainingConfig, steps: Sequence[int] = STEPS) -> dict[str, Any]:
    """A run of the chapter at ``steps``: the maps of all heads, a letter a weight, the answer, losses held out."""
    model, probe, old = _base(), ANSWERING.probe("test"), WRITING.probe("test")
    data: dict[str, Any] = {"steps": [*steps], "maps": [], "answers": [], "answer": [], "rests": []}

    def look(step: int) -> None:
        if step in steps:
            data["maps"].append(pack(prefix_mass(model, example_ids())[0]))
            data["answers"].append(answers(model, tang_tokenizer(), [GIVEN])[0])
            data["answer"].append(mean_loss(model, probe))
            data["rests"].append(mean_loss(model, old))

    log = tune(model, config, ANSWERING.batches("train"), look)
    return data | {"loss": [row["loss"] for row in log]}


def measure() -> dict[str, Any]:
    """All of it: about ten minutes of one core."""
    length = P_TUNING.model.prefix_length
    return rounded({
        "base": skills(_base()),
        "film": {name: film(run(length, kind)) for name, kind in KINDS.items()},
        "tasks": {name: measure_task(task) for name, task in TASKS.items()},
        "mixed": measure_mixed(),
        "rates": {name: {f"{r:g}": measure_rate(kind, r) for r in TRIED} for name, kind in KINDS.items()},
        "lengths": {name: {str(n): measure_length(n, kind) for n in LENGTHS} for name, kind in KINDS.items()},
    }, 3)  # fmt: skip


def show(data: dict[str, Any]) -> str:
    """The measurements as text."""
    names = [*data["base"]]
    rows = [f"{'':32}{''.join(f'{name:>12}' for name in names)}"]
    rows += [f"{'no prefix':32}" + "".join(f"{data['base'][name]:12.3f}" for name in names)]
    rows += [f"{'mixed with old examples':32}" + "".join(f"{data['mixed'][name]:12.3f}" for name in names)]
    for kind, lengths in data["lengths"].items():
        for length, of in lengths.items():
            means = "".join(f"{mean(seed[name] for seed in of['seeds']):12.3f}" for name in names)
            rows.append(f"{length:>3} {kind:17}{of['parameters']:>11,}{means}")
    for kind, rates in data["rates"].items():
        rows += [f"rate {rate:>6} {kind:16} {of['answer']:.3f} blanks {of['blanks']:.3f}" for rate, of in rates.items()]
    rows += [f"{name:28} {of['poems']:6,} {of['before']} -> {of['after']}" for name, of in data["tasks"].items()]
    return "\n".join([*rows, *(of["answers"][-1] for of in data["film"].values())])


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and store with ``--write``."""
    wanted = measuring_parser("p_tuning_study", "What prefixes learn, and what they cost.").parse_args(arguments)
    torch.set_num_threads(1)
    return measure_and_show("p_tuning", measure, show, wanted.write)


if __name__ == "__main__":
    sys.exit(main())
