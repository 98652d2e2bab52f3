"""Taps: the named places of the network where a tensor can be looked at or replaced.

A tap hands its tensor on untouched until somebody watches it (``glm_edu.record``), so an unwatched tap costs one
comparison. Names are those of the book: ``blocks.0.attention.probs``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


class Tap:
    """One named place: its axes in the letters of the book, and what passes there, in a line."""

    __slots__ = ("letters", "meaning", "name", "watchers")

    def __init__(self, name: str, letters: str, meaning: str) -> None:
        self.name, self.letters, self.meaning = name, letters, meaning
        self.watchers: tuple[Callable[[Tap, Tensor], Tensor], ...] = ()

    def __call__(self, tensor: Tensor) -> Tensor:
        for watch in self.watchers:
            tensor = watch(self, tensor)
        return tensor

    def __reduce__(self) -> tuple[type[Tap], tuple[str, str, str]]:
        return Tap, (self.name, self.letters, self.meaning)  # a copy of the model is watched by nobody
