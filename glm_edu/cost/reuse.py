"""Which cells of a cache are still right when the text has gone on: compared key by key, value by value.

A cell is one layer's key and value of one token. It may be used again if a fresh pass over the longer text makes the
same; the order in which cells stand in a cache does not matter, for a key carries its position in its rotation.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.model.cache import KVCache

Fates = Int[Tensor, "l k"]


class Fate(IntEnum):
    """What becomes of a cell in the next round."""

    KEPT = 0  # was cached, and is still right
    AGAIN = 1  # was cached, and is stale: computed again
    NEW = 2  # was not cached


class Reading:
    """What a cache of one row holds, copied, with a name for each token that it keeps from round to round.

    Raises:
        InputError: more than one row, or not a name for each cached token, all different.
    """

    def __init__(self, cache: KVCache, names: Sequence[Hashable]) -> None:
        if not len(names) == len(set(names)) == cache.tokens or cache.keys[0].shape[0] != 1:
            raise InputError(f"{len(names)} names for a cache of {cache.tokens} tokens: one for each, of one row.")
        self.names = tuple(names)
        pairs = zip(cache.keys, cache.values, strict=True)
        held = [torch.cat(pair, dim=-1)[0, :, cache.prefix_length : cache.length] for pair in pairs]
        self.cells: Float[Tensor, "l g k d2"] = torch.stack(held)

    def gaps(self, later: Reading) -> Float[Tensor, "l k"]:
        """How far each cell of ``later`` is from the one of that name here, at most; NaN where there is none."""
        gap = later.cells.new_full((later.cells.shape[0], later.cells.shape[2]), torch.nan)  # l k
        for place, name in enumerate(later.names):
            if name in self.names:
                was = self.cells[:, :, self.names.index(name)]  # l g d2
                gap[:, place] = (later.cells[:, :, place] - was).abs().amax((1, 2))
        return gap


def fates(before: Reading | None, after: Reading, atol: float = 1e-4) -> Fates:
    """A ``Fate`` for each cell of ``after``; with ``before`` None all are new.

    ``atol``: rounding, when a token is computed among others, moves a key of float32 by less than 1e-5; a key that has
    another position, or has seen another text, by more than 1e-2.
    """
    if before is None:
        return torch.full((after.cells.shape[0], after.cells.shape[2]), int(Fate.NEW))
    gap = before.gaps(after)  # l k
    stale = torch.where(gap > atol, int(Fate.AGAIN), int(Fate.KEPT))  # l k
    return torch.where(gap.isnan(), int(Fate.NEW), stale)
