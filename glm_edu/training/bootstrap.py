"""How sure a mean over poems is: draw the poems again with replacement, many times, and see how far it moves.

Efron and Tibshirani 1993, chapter 13: the percentile interval. A share that is all or nothing never moves, however few
the poems; a share of hits has the interval of Wilson 1927, which knows how many were tried.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError

RESAMPLES = 2000
Interval = tuple[float, float]


def resampled(poems: int, number: int = RESAMPLES, seed: int = 0) -> Float[Tensor, "draws poems"]:
    """How often each of ``poems`` is drawn, in each of ``number`` resamples; the same for a seed."""
    draw = torch.randint(poems, (number, poems), generator=torch.Generator().manual_seed(seed))  # draws poems
    return torch.zeros(number, poems).scatter_add_(1, draw, torch.ones(number, poems))


def drawn_poems(poems: int) -> Float[Tensor, "draws poems"]:
    """The poems as they are, each once; then the resamples."""
    return torch.cat([torch.ones(1, poems), resampled(poems)])


def with_interval(statistic: Float[Tensor, " draws"]) -> tuple[float, float, float]:
    """Of a statistic on each row of ``drawn_poems``: its value on the poems as they are, and its 95 % interval."""
    return (statistic[0].item(), *percentiles(statistic[1:]))


def percentiles(statistics: Float[Tensor, " draws"]) -> Interval:
    """The 95 % interval of a statistic that was computed on each resample."""
    low, high = statistics.double().quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def share_interval(hits: int, tried: int) -> Interval:
    """The 95 % interval of a share of hits, by Wilson's score.

    Raises:
        InputError: nothing was tried, or there are more hits than tries.
    """
    if not 0 <= hits <= tried or tried < 1:
        raise InputError(f"{hits} hits of {tried}: an interval needs at least one try, and no more hits than tries.")
    share, z = hits / tried, 1.96
    middle, spread = share + z**2 / (2 * tried), z * math.sqrt(share * (1 - share) / tried + (z / (2 * tried)) ** 2)
    low, high = ((middle + sign * spread) / (1 + z**2 / tried) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def mean_interval(values: Float[Tensor, " poems"]) -> Interval:
    """The 95 % interval of the mean of one value a poem."""
    return percentiles(resampled(len(values)) @ values.float() / len(values))
