"""How sure a mean over poems is: draw the poems again with replacement, many times, and see how far it moves.

Efron and Tibshirani 1993, chapter 13: the percentile interval.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

RESAMPLES = 2000
Interval = tuple[float, float]


def resampled(poems: int, number: int = RESAMPLES, seed: int = 0) -> Float[Tensor, "r p"]:
    """How often each of ``poems`` is drawn, in each of ``number`` resamples; the same for a seed."""
    draw = torch.randint(poems, (number, poems), generator=torch.Generator().manual_seed(seed))  # r p
    return torch.zeros(number, poems).scatter_add_(1, draw, torch.ones(number, poems))


def percentiles(statistics: Float[Tensor, " r"]) -> Interval:
    """The 95 % interval of a statistic that was computed on each resample."""
    low, high = statistics.double().quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def mean_interval(values: Float[Tensor, " p"]) -> Interval:
    """The 95 % interval of the mean of one value a poem."""
    return percentiles(resampled(len(values)) @ values.float() / len(values))
