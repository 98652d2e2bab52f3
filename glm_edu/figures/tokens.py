"""Token strip: a row of ids cut into named parts, each token in a cell with its id under it.

Special tokens stand out from pieces of text, and headers from what was said. One strip, several below each other, or
one of several by radio buttons that need no script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, fill
from glm_edu.figures.markup import esc, rich, token_label
from glm_edu.figures.palette import WORDS
from glm_edu.figures.panels import check_choice, panel, radios
from glm_edu.figures.svg import digest

KINDS = ("marks", "header", "user", "assistant", "text", "pad", "wrong")
BYTE, BLANKS = re.compile(r"<0x([0-9A-F]{2})>"), re.compile(r"<\|blank_(\d+)\|>")
NO_MARKUP = str.maketrans({"*": "∗", "`": "ˋ"})  # an alt text is stripped of ** and `
SHOWN = {"<n>": "⏎", "<0x0A>": "⏎", "<|tab|>": "⇥", "<0x09>": "⇥"}


@dataclass(frozen=True)
class Token:
    """One id and the name of its piece, as the tokenizer's ``piece`` says it; ``special`` is no piece of a text."""

    id: int
    piece: str
    special: bool = False

    @property
    def label(self) -> str:
        """What the cell shows: blanks, newlines and bytes made visible."""
        if self.special or self.piece in SHOWN:
            return SHOWN.get(self.piece, self.piece) or token_label("")  # an image's token has no name
        if found := BYTE.fullmatch(self.piece):
            return found[1]
        if found := BLANKS.fullmatch(self.piece):
            return f"␣×{found[1]}"
        return token_label(self.piece.replace("▁", "␣"))


@dataclass(frozen=True)
class Part:
    """Tokens that belong together, under a name. ``kind`` is one of ``KINDS``: it decides the colour."""

    name: str
    kind: str
    tokens: Sequence[Token]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"A part of kind {self.kind!r}: it is one of {', '.join(KINDS)}.")


Strip = Sequence[Part]


def token_strip(
    strips: Mapping[str, Strip], *, then: str = "", legend: str = "", chosen: str = "", caption: str = "",
    title: str = "",
) -> Figure:  # fmt: skip
    """The strips under their names; with a ``legend``, the ``chosen`` one of them by radio buttons.

    ``then`` names what the model writes behind the last id, and an open cell stands for it.

    Raises:
        InputError: no strips, a strip without tokens, or a choice that is none.
    """
    if not strips or not all(any(part.tokens for part in strip) for strip in strips.values()):
        raise InputError("token_strip needs at least one strip, and at least one token in each.")
    data: dict[str, Any] = {"strips": {name: [_data(part) for part in strip] for name, strip in strips.items()}}
    rows = {name: _strip(strip, then) for name, strip in strips.items()}
    if not legend:
        picture = "".join(f'<div class="glm-row"><p class="glm-part">{esc(n)}</p>{r}</div>' for n, r in rows.items())
        return Figure("token_strip", data, _alt(strips), picture, caption, title)
    check_choice("strips", strips, chosen)
    picture = "".join(panel(name, row) for name, row in rows.items())
    controls = radios([*strips], legend, chosen, digest(legend + caption + title + picture))
    alt = _alt({chosen: strips[chosen]})
    return Figure("token_strip", data | {"legend": legend, "chosen": chosen}, alt, picture, caption, title, controls)


def _strip(strip: Strip, then: str) -> str:
    count = fill("token_strip", "count", n=sum(len(part.tokens) for part in strip))
    open_cell = _chunk(then, "then", "<i>?<b>…</b></i>") if then else ""
    parts = "".join(_chunk(part.name, part.kind, "".join(map(_cell, part.tokens))) for part in strip)
    return f'<div class="glm-strip">{parts}{open_cell}</div><p class="glm-count">{esc(count)}</p>'


def _chunk(name: str, kind: str, cells: str) -> str:
    return f'<span class="glm-chunk {kind}"><small>{rich(name)}</small><span class="toks">{cells}</span></span>'


def _cell(token: Token) -> str:
    name = " class=special" if token.special else ""
    told = fill("token_strip", "cell", id=token.id, piece=token.piece)
    return f'<i{name} title="{esc(told)}">{esc(token.label)}<b>{token.id}</b></i>'


def _data(part: Part) -> dict[str, Any]:
    return {
        "name": part.name, "kind": part.kind, "ids": [token.id for token in part.tokens],
        "pieces": [token.piece for token in part.tokens], "special": [token.special for token in part.tokens],
    }  # fmt: skip


def _alt(strips: Mapping[str, Strip]) -> str:
    told = []
    for name, strip in strips.items():
        parts = "; ".join(f"{part.name}: {' '.join(token.label for token in part.tokens)}" for part in strip)
        told.append(fill("token_strip", "alt", name=name, n=sum(len(p.tokens) for p in strip), parts=parts))
    return " ".join(told).translate(NO_MARKUP)


def words(name: str) -> str:
    """The word for a part, from the palette."""
    return WORDS["token_strip"][name]
