"""From predictions to figures: cross-entropy and accuracy a character, on any draw of the poems."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor

MEASURES = ("cross-entropy", "top-1", "top-5")


class Scores(NamedTuple):
    """One value a character: nats of surprise, and whether it was the likeliest, or among the likeliest five."""

    loss: Float[Array, " n"]
    top1: Float[Array, " n"]
    top5: Float[Array, " n"]


def score(log_probs: Float[Array, "n v"], target: Int[Array, " n"]) -> Scores:
    """Characters that are equally likely share their places: one of two at the top counts half."""
    own = log_probs[np.arange(len(target)), target][:, None]
    above, equal = (log_probs > own).sum(1), (log_probs == own).sum(1)
    top1, top5 = (np.clip((places - above) / equal, 0.0, 1.0) for places in (1, 5))
    return Scores(-own[:, 0].astype(np.float64), top1, top5)


def joined(parts: Iterable[Scores]) -> Scores:
    """The scores of all parts, one after another."""
    return Scores(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def statistics(
    scores: Scores, poem: Int[Array, " n"], drawn: Float[Tensor, "draws poems"]
) -> dict[str, Float[Tensor, " draws"]]:
    """Each measure, a mean over characters, on each way of drawing the poems."""

    def totals(values: Float[Array, " n"]) -> Float[Tensor, " draws"]:
        return drawn.double() @ torch.from_numpy(np.bincount(poem, values, drawn.shape[1]))

    counts = totals(np.ones(len(poem)))
    return {name: totals(values) / counts for name, values in zip(MEASURES, scores, strict=True)}
