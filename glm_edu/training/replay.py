"""Look at a run on its way: ``python -m glm_edu.training.replay`` trains ``live`` and stores what it saw.

At each checkpoint one held-out poem. Once its second half is cut out: who looks at whom, and what the network expects
next at each place, given the right characters before it. Once a single character is: what it writes there. Chapter 12
shows it, so that it needs no kernel.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import CheckpointNotFoundError
from glm_edu.loss import IGNORED_LABEL
from glm_edu.model.transformer import Transformer
from glm_edu.record import record
from glm_edu.training import results
from glm_edu.training.corrupt import Example, corrupt
from glm_edu.training.loop import initialize, train
from glm_edu.training.settings import TrainingConfig, training_config
from glm_edu.training.shades import pack
from glm_edu.training.vocabulary import PUNCTUATION, tang_tokenizer

POEM = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"  # Wang Zhihuan; in the test split, so never trained on
BLANK = (12, 12)  # its second half
ONE = (9, 1)  # a character in the middle of a line
MARKS = PUNCTUATION
EXPECTED = 3  # of what comes next, the likeliest


class Look(NamedTuple):
    """The network after ``step`` steps.

    Attributes:
        probs: attention weights of all heads, layer by layer.
        expected: for each token of the answer and <eop>, the likeliest tokens with their probabilities.
        right: the probability of that token itself.
        marks: the probability that ， or 。 stands in its place.
        blank: the likeliest characters for ``ONE`` alone cut out of the whole poem, with their probabilities.
    """

    step: int
    probs: Float[Tensor, "n q k"]
    expected: list[list[tuple[str, float]]]
    right: list[float]
    marks: list[float]
    blank: list[tuple[str, float]]


def example() -> Example:
    """The poem, its second half cut out and laid behind [gMASK]."""
    tokenizer = tang_tokenizer()
    return corrupt(tokenizer.encode(POEM, add_special_tokens=False), [BLANK], tokenizer, "[gMASK]")


def tokens() -> list[str]:
    """What stands at each place that the network reads: all of the example but the last <eop>."""
    return [tang_tokenizer().tokens[i] for i in example().ids[:-1]]


@torch.no_grad()
def look(model: Transformer, step: int) -> Look:
    """What there is to see of ``model``, which stands at ``step``."""
    tokenizer, (ids, _, _, labels) = tang_tokenizer(), example()
    with record(model.eval(), "blocks.*.attention.probs") as seen:
        chances = model(ids[None, :-1])[0].softmax(-1)  # s v
    chances, answer = chances[labels[1:] != IGNORED_LABEL], labels[labels != IGNORED_LABEL]  # answer v, answer
    one = corrupt(tokenizer.encode(POEM, add_special_tokens=False), [ONE], tokenizer)
    blank = model(one.ids[None, :-2])[0, -1].softmax(-1)  # v
    right = chances.gather(1, answer[:, None])[:, 0]  # answer
    marks = chances[:, [tokenizer.ids[mark] for mark in MARKS]].sum(-1)  # answer
    probs = torch.cat([seen[f"blocks.{i}.attention.probs"][0] for i in range(model.config.num_layers)])  # n q k
    return Look(step, probs, _likeliest(chances), _rounded(right), _rounded(marks), _likeliest(blank[None])[0])


def _likeliest(chances: Float[Tensor, "answer v"]) -> list[list[tuple[str, float]]]:
    top, tokens = chances.topk(EXPECTED), tang_tokenizer().tokens
    return [
        [(tokens[i], round(p, 3)) for i, p in zip(*place, strict=True)]
        for place in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]


def _rounded(values: Float[Tensor, " answer"]) -> list[float]:
    return [float(f"{value:.3g}") for value in values.tolist()]


def looks(config: TrainingConfig, run: Path) -> Iterator[Look]:
    """A look before the first step, and one at each checkpoint that a run kept.

    Raises:
        CheckpointNotFoundError: the run kept none.
    """
    files = sorted(run.glob("weights-*.pt"))
    if not files:
        raise CheckpointNotFoundError(f"{run} holds no weights-*.pt: its config needs keep_checkpoints=True.")
    torch.manual_seed(config.seed)
    model = initialize(Transformer(config.model))
    yield look(model, 0)
    for file in files:
        model.load_state_dict(torch.load(file, weights_only=True))
        yield look(model, int(file.stem.removeprefix("weights-")))


def replay(config: TrainingConfig, run: Path) -> dict[str, Any]:
    """All that is stored of a run: the looks, with a letter a weight, and the loss of each step."""
    seen = list(looks(config, run))
    with (run / "log.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    return {
        "tokens": tokens(),
        "steps": [one.step for one in seen],
        "maps": [pack(one.probs) for one in seen],
        "expected": [one.expected for one in seen],
        "right": [one.right for one in seen],
        "marks": [one.marks for one in seen],
        "blank": [one.blank for one in seen],
        "loss": [round(float(row["loss"]), 3) for row in log],
        "validation": {
            row["step"]: [float(row["validation_mask"]), float(row["validation_gmask"])]
            for row in log
            if row["validation_mask"]
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the live run, and store what a page shows of it.")
    parser.add_argument("--config", default="live", help="a training config that keeps its checkpoints (default: live)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = training_config(arguments.config)
    with TemporaryDirectory() as directory:
        train(config, Path(directory))
        data = replay(config, Path(directory))
    for step, expected in zip(data["steps"], data["expected"], strict=True):
        print(f"{step:6}  {' '.join(place[0][0] for place in expected)}")
    file = results.store(f"{arguments.config}_replay", data)
    print(f"{file.name}: {file.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
