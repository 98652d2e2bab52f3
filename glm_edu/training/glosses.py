"""English for the commoner characters of Tang poems, so that a reader without Chinese can follow what a model writes.

The words are ours: one or two for each character, out of the many that a dictionary has. A line of them is no
translation; it says what kind of character stands where.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data" / "glosses.txt"
MARKS = {
    "，": "comma", "。": "stop", "[MASK]": "a blank", "[gMASK]": "the rest is missing", "<sop>": "write now",
    "<eop>": "done", "<unk>": "a rare character", "<pad>": "padding",
}  # fmt: skip
UNKNOWN = "?"


@cache
def _characters() -> dict[str, str]:
    return dict(line.split(" ", 1) for line in DATA.read_text(encoding="utf-8").splitlines())


def gloss(tokens: Iterable[str]) -> list[str]:
    """One or two English words for each token (for each character of a string); "?" where there are none."""
    return [MARKS.get(token) or _characters().get(token, UNKNOWN) for token in tokens]
