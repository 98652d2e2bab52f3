"""The Tang poems that ship with the package. ``data/README.md`` says where they come from and how they were cleaned."""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from glm_edu.errors import InputError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

DATA = Path(__file__).parent / "data" / "tang_poems.tsv.xz"


@dataclass(frozen=True)
class Poem:
    """One poem of four or eight lines, each of five or seven characters; lines end in ， and 。 by turns."""

    split: Split
    author: str
    title: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines without their punctuation."""
        return re.findall("[^，。]+", self.text)

    @property
    def form(self) -> str:
        """``4x5``, ``4x7``, ``8x5`` or ``8x7``: lines x characters a line."""
        lines = self.lines
        return f"{len(lines)}x{len(lines[0])}"


@cache
def _all() -> tuple[Poem, ...]:
    rows = (line.split("\t") for line in lzma.decompress(DATA.read_bytes()).decode().splitlines())
    return tuple(Poem(split, author, title, text) for split, author, title, text in rows)  # type: ignore[arg-type]


def poems(split: Split) -> list[Poem]:
    """The poems of one split, in the order of the collection. Needs no network.

    Raises:
        InputError: a split that is not there.
    """
    if split not in SPLITS:
        raise InputError(f"There is no split {split!r}. There are: {', '.join(SPLITS)}.")
    return [poem for poem in _all() if poem.split == split]
