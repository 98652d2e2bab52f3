"""Taps: the named places of the network where a tensor can be looked at or replaced.

A tap hands its tensor on untouched until somebody watches it (``glm_edu.record``), so an unwatched tap costs one
comparison. Names are those of the book: ``blocks.0.attention.probs``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


class Tap:
    """One named place: its axes in the letters of the book, and what passes there, in a line."""

    __slots__ = ("letters", "meaning", "name", "watch")

    def __init__(self, name: str, letters: str, meaning: str) -> None:
        self.name, self.letters, self.meaning = name, letters, meaning
        self.watch: Callable[[Tap, Tensor], Tensor] | None = None

    def __call__(self, tensor: Tensor) -> Tensor:
        return tensor if self.watch is None else self.watch(self, tensor)
