"""The n-gram baseline for blanks: it reads what stands on the left of a character and on the right of its blank.

The last character of a blank touches both sides, so it needs no guess: p(x | left, right) is proportional to the
product of the n-gram probabilities of all windows that x lies in. A character further left has unknown neighbours. It
is predicted by the n-gram on its left, times how often each character on the right follows x at just that distance
(Kneser-Ney bigrams with a gap). Each factor has an exponent, tuned on validation poems for each distance from the
right edge: a log-linear model, so that the tuning is convex. Every probability is normalized over the characters that
may be the answer.

What makes it strong on purpose: it is told the length of the blank and that the answer is a character that it knows,
both of which a network has to find out; and factors that overlap are weighed down by the tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from glm_edu.errors import InputError
from glm_edu.training.ngram import KneserNey

REACH = 4  # characters on either side, as many as a 5-gram sees
TINY = 1e-300  # the logarithm of what cannot be is a number too


class Sites(NamedTuple):
    """Characters to be predicted. ``right[:, 0]`` stands ``distance`` places to the right of the character."""

    poem: Int[Array, " n"]  # which poem it stands in, counted from 0
    left: Int[Array, "n 4"]
    right: Int[Array, "n 4"]
    distance: Int[Array, " n"]
    target: Int[Array, " n"]

    def only(self, chosen: Int[Array, " m"] | Bool[Array, " n"] | slice) -> Sites:
        """Some of them."""
        return Sites(*(column[chosen] for column in self))


class BothSides:
    """Fitted on ``texts`` (ids); ``tune`` it before use, or give it the exponents that a tuning found.

    Args:
        forward: the n-gram of the same texts, of order 5.
        answers: which ids may be an answer.
        nothing_id: stands on the right where the text has ended.
        exponents: for each distance, of the left side and of the four factors of the right side.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        forward: KneserNey,
        answers: Bool[Array, " v"],
        nothing_id: int,
        exponents: dict[int, list[float]] | None = None,
    ) -> None:
        self.forward, self.answers, self.nothing_id = forward, answers, nothing_id
        self.texts = [[*text, forward.end_id] for text in texts]
        self.exponents = dict(exponents or {})
        self.gapped: dict[int, KneserNey] = {}

    def log_probs(self, sites: Sites) -> Float[Array, "n v"]:
        """log p(x | left, right) of sites that stand at one distance.

        Raises:
            InputError: no exponents for that distance.
        """
        distance = int(sites.distance[0])
        if distance not in self.exponents:
            raise InputError(
                f"No exponents for distance {distance}; tune() finds them. There are: {[*self.exponents]}."
            )
        return self.normalized(np.einsum("f,nfv->nv", self.exponents[distance], self.factors(sites)))

    def factors(self, sites: Sites) -> Float[Array, "n 5 v"]:
        """Logarithms of what the left says of each x, and what each of the four characters on the right says."""
        left = np.log(np.maximum(self.forward.next_character(sites.left), TINY))
        right = [self._window(sites, i) if sites.distance[0] == 1 else self._gap(sites, i) for i in range(REACH)]
        return np.stack([left, *right], axis=1)

    def normalized(self, logs: Float[Array, "n v"]) -> Float[Array, "n v"]:
        """Probabilities that sum to 1 over the possible answers, as logarithms."""
        logs = np.where(self.answers, logs, -np.inf)
        logs -= logs.max(axis=1, keepdims=True)
        return logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))

    def tune(self, sites: Sites) -> None:
        """Find the exponents of one distance, by the cross-entropy of ``sites``: convex, so any start will do."""
        logs = torch.from_numpy(self.factors(sites)[:, :, self.answers]).transpose(1, 2).float().contiguous()  # n a f
        target = torch.from_numpy((np.cumsum(self.answers) - 1)[sites.target])
        start = torch.tensor([1.0, *[0.5] * REACH])
        exponents = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([exponents], max_iter=15, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            value = torch.nn.functional.cross_entropy(logs @ exponents, target)
            value = value + 0.01 * (exponents - start).square().mean()  # where a factor says next to nothing
            value.backward()
            return value

        optimizer.step(loss)
        self.exponents[int(sites.distance[0])] = [round(value, 3) for value in exponents.tolist()]

    def _window(self, sites: Sites, place: int) -> Float[Array, "n v"]:
        """log p(right[place] | the four before it), x among them."""
        text = [*sites.left.T[:, :, None], np.arange(self.forward.size)[None], *sites.right.T[:, :, None]]
        logs = np.log(np.maximum(self.forward.probability(text[place + 1 : place + 2 + REACH]), TINY))
        return np.where(sites.right[:, [place]] == self.nothing_id, 0.0, logs)

    def _gap(self, sites: Sites, place: int) -> Float[Array, "n v"]:
        """log p(right[place] | x stands that far before it), whatever stands between them."""
        gap = int(sites.distance[0]) + place
        if gap not in self.gapped:
            every = [text[first::gap] for text in self.texts for first in range(gap)]
            self.gapped[gap] = KneserNey(
                every, start_id=self.forward.start_id, end_id=self.nothing_id, size=self.forward.size, order=2
            )
        different, which = np.unique(sites.right[:, place], return_inverse=True)
        pairs = np.arange(self.forward.size)[None], different[:, None]
        logs = np.log(np.maximum(self.gapped[gap].probability(pairs), TINY))
        logs[different == self.nothing_id] = 0.0
        return logs[which]
