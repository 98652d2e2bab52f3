"""The baseline that a network has to beat: an interpolated Kneser-Ney n-gram of characters.

Each order mixes what it has counted with the order below it. A discount is taken from every count and given to the
lower order, whose counts are of kinds: behind how many different characters an n-gram was seen, not how often.
Chen and Goodman 1998, section 4.1.6 (modified Kneser-Ney: three discounts an order, from the counts themselves).
An n-gram at the start of a text has nothing before it, and keeps its count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from glm_edu.errors import InputError


@dataclass(frozen=True)
class Order:
    """The n-grams of one length. A key holds the ids as digits of one number, so that sorting groups contexts."""

    keys: Int[Array, " n"]
    shares: Float[Array, " n"]  # discounted count / all counts of the context
    contexts: Int[Array, " c"]  # keys of what stands before the last character
    starts: Int[Array, " c+1"]  # contexts[i] owns keys[starts[i] : starts[i + 1]]
    passed_on: Float[Array, " c"]  # the share that the discounts leave to the order below


class KneserNey:
    """Character n-grams fitted on ``texts``, ids without start or end.

    Args:
        start_id: stands before a text; it is context and never predicted.
        end_id: stands behind a text; it is predicted.
        size: of the vocabulary; ids run from 0 to size - 1.
        order: characters of the longest n-gram.

    Raises:
        InputError: no texts.
    """

    def __init__(
        self, texts: Sequence[Sequence[int]], *, start_id: int, end_id: int, size: int, order: int = 5
    ) -> None:
        if not texts:
            raise InputError("An n-gram model needs at least one text to count.")
        self.start_id, self.end_id, self.size, self.order = start_id, end_id, size, order
        grams = [self._grams(texts, length) for length in range(1, order + 1)]
        self.orders = [self._fit(*self._counts(grams, length)) for length in range(1, order + 1)]
        self.lowest = np.where(np.arange(size) == start_id, 0.0, 1 / (size - 1))

    @property
    def stored(self) -> int:
        """How many different n-grams were counted, of all lengths."""
        return sum(len(order.keys) for order in self.orders)

    def probability(self, gram: Sequence[Int[Array, " ..."]]) -> Float[Array, " ..."]:
        """p(last | those before it) of n-grams given as columns that broadcast against each other.

        A column before the text's start holds ``start_id``, as often as the n-gram needs.
        """
        probability, seen = self.lowest[gram[-1]], np.ones_like(gram[-1], bool)
        for length, order in enumerate(self.orders[: len(gram)], 1):
            columns = np.broadcast_arrays(*gram[-length:], seen)
            at = np.nonzero(columns[-1])  # where the shorter context was seen; where it was not, no longer one was
            key = self._key([column[at] for column in columns[:-1]])
            context, known = _find(order.contexts, key // self.size)
            at, key = tuple(axis[known] for axis in at), key[known]
            probability = np.broadcast_to(probability, columns[-1].shape).copy()
            gram_at, counted = _find(order.keys, key)
            share = np.where(counted, order.shares[gram_at], 0.0)
            probability[at] = share + order.passed_on[context[known]] * probability[at]
            seen = np.zeros_like(columns[-1])
            seen[at] = True
        return probability

    def next_character(self, contexts: Int[Array, "b c"]) -> Float[Array, "b v"]:
        """p(x | context) of every x: the same as ``probability``, without asking for n-grams that were never seen."""
        probabilities = np.tile(self.lowest, (len(contexts), 1))  # b v
        for length, order in enumerate(self.orders[: contexts.shape[1] + 1], 1):
            key = self._key([np.zeros(len(contexts), int), *contexts.T[contexts.shape[1] - length + 1 :]])
            at, known = _find(order.contexts, key)
            rows, at = np.flatnonzero(known), at[known]
            probabilities[rows] *= order.passed_on[at, None]
            counts = order.starts[at + 1] - order.starts[at]
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            grams = np.repeat(order.starts[at], counts) + within
            probabilities[np.repeat(rows, counts), order.keys[grams] % self.size] += order.shares[grams]
        return probabilities

    def _key(self, columns: Iterable[Array]) -> Int[Array, " ..."]:
        key = np.zeros((), np.int64)
        for column in columns:
            key = key * self.size + column
        return key

    def _grams(self, texts: Sequence[Sequence[int]], length: int) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
        """The different n-grams of one length as sorted keys, and how often each was seen."""
        stream = np.concatenate([[self.start_id, *text, self.end_id] for text in texts])
        windows = np.lib.stride_tricks.sliding_window_view(stream, length)
        one_text = (windows[:, 1:] != self.start_id).all(1) & (windows[:, -1] != self.start_id)
        return np.unique(self._key(windows[one_text].T), return_counts=True)

    def _counts(self, grams: list[tuple[Array, Array]], length: int) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
        """Keys and what is counted of them: occurrences in the highest order and at a text's start, else kinds."""
        keys, counts = grams[length - 1]
        if length == self.order:
            return keys, counts
        _, kinds = np.unique(grams[length][0] % self.size**length, return_counts=True)
        inside = keys // self.size ** (length - 1) != self.start_id
        counts[inside] = kinds
        return keys, counts

    def _fit(self, keys: Int[Array, " n"], counts: Int[Array, " n"]) -> Order:
        contexts, starts = np.unique(keys // self.size, return_index=True)
        totals = np.add.reduceat(counts, starts)
        discount = discounts(counts)[np.minimum(counts, 3) - 1]
        starts_and_end = np.append(starts, len(keys))
        shares = (counts - discount) / np.repeat(totals, np.diff(starts_and_end))
        return Order(keys, shares, contexts, starts_and_end, np.add.reduceat(discount, starts) / totals)


def discounts(counts: Int[Array, " n"]) -> Float[Array, " 3"]:
    """What is taken from counts of 1, of 2, and of 3 or more: Chen and Goodman 1998, equation 17.

    Where too few n-grams were counted for an estimate (none was seen once, twice, ...), 0.75 of each.
    """
    of = np.bincount(np.minimum(counts, 5), minlength=6)[1:5]  # how many n-grams were counted 1, 2, 3, 4 times
    if not of.all():
        return np.full(3, 0.75)
    once = of[0] / (of[0] + 2 * of[1])
    estimates = np.array([k - (k + 1) * once * of[k] / of[k - 1] for k in (1, 2, 3)])
    return estimates if (estimates > 0).all() else np.full(3, 0.75)


def _find(keys: Int[Array, " n"], wanted: Int[Array, " m"]) -> tuple[Int[Array, " m"], Bool[Array, " m"]]:
    """Where each wanted key stands among the sorted ``keys`` (any place if it does not), and whether it does."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted
