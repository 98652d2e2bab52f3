"""Clock plane: two clocks are two coordinates. A text lies along the first; an answer rises over its mask token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_rank, check_tokens, fill
from glm_edu.figures.grid import NARROW, grid, token_row
from glm_edu.figures.markup import esc, token_label
from glm_edu.figures.palette import WORDS
from glm_edu.figures.panels import check_choice

CLOCKS = ("position", "block")


@dataclass(frozen=True)
class Clocked:
    """Tokens with their clocks (``c`` is 1 or 2). The answer begins at ``context`` and fills the token at ``mark``."""

    tokens: Sequence[str]
    position_ids: Int[Tensor, "c s"]
    context: int
    mark: int


def clock_plane(
    ways: Mapping[str, Sequence[Clocked]], *, chosen: str, at: int = 0, caption: str = "", title: str = ""
) -> Figure:
    """Each token at its place: position to the right, block upwards; and under it the same as two rows of ids.

    The live control chooses a way to count, where there are several, or which of the sequences is shown (``at`` of them
    at first): the number of tokens before the mask token. With one clock all tokens lie in row 0. Two tokens at one
    place are counted.

    Raises:
        InputError: ids that do not fit their tokens or lie below 0, more than two clocks, an answer or a mark that is
            not there, or ways of different length.
    """
    check_choice("ways", ways, chosen, least=1)
    lengths = {len(sequences) for sequences in ways.values()}
    if len(lengths) > 1 or not 0 <= at < min(lengths):
        raise InputError(
            f"The ways have {sorted(lengths)} sequences and at is {at}: give equally many, and one of them."
        )
    frames = {name: [_frame(sequence) for sequence in sequences] for name, sequences in ways.items()}
    every = [frame for sequences in frames.values() for frame in sequences]
    data = {
        "ways": frames, "chosen": chosen, "at": at,
        "columns": 1 + max(max(frame["positions"][0]) for frame in every),
        "rows": 1 + max(max(_blocks(frame)) for frame in every),
        "longest": max(len(frame["tokens"]) for frame in every),
    }  # fmt: skip
    shown = frames[chosen][at]
    picture = f"<div>{_plane(data, shown)}{_ids(data, shown)}</div>"  # a table that stands alone is taken for a panel
    return Figure("clock_plane", data, _alt(shown, chosen), picture, caption, title)


def _frame(sequence: Clocked) -> dict[str, Any]:
    ids = sequence.position_ids
    check_rank("position_ids", ids, "c s", "Of a recorded tensor, draw one example: position_ids[0].")
    labels = [token_label(token) for token in sequence.tokens]
    check_tokens("tokens", labels, ids.shape[1], "position")
    if not 1 <= len(ids) <= 2:
        raise InputError(f"position_ids has {len(ids)} rows; there are one or two clocks: [1 s] or [2 s].")
    if not 0 <= sequence.mark < sequence.context < len(labels) or ids.min() < 0:
        raise InputError(
            f"mark is {sequence.mark} and context {sequence.context} of {len(labels)} tokens, with ids {ids.tolist()}: "
            "the mark stands in the context, an answer comes after it, and ids begin at 0."
        )
    names = [
        "mark" if i == sequence.mark else "answer" if i >= sequence.context else "context" for i in range(len(labels))
    ]
    return {"tokens": labels, "positions": ids.tolist(), "parts": names}


def _blocks(frame: dict[str, Any]) -> list[int]:
    """The second clock; with one clock all tokens lie on the ground."""
    return frame["positions"][1] if len(frame["positions"]) == 2 else [0] * len(frame["tokens"])


def _plane(data: dict[str, Any], frame: dict[str, Any]) -> str:
    """The highest block on top, as on a drawing with two axes."""
    places = defaultdict(list)
    for i, place in enumerate(zip(frame["positions"][0], _blocks(frame), strict=True)):
        places[place].append(i)
    rows = (
        token_row(str(block), "".join(_cell(frame, places[column, block]) for column in range(data["columns"])))
        for block in reversed(range(data["rows"]))
    )
    words = WORDS["clock_plane"]
    ground = "".join(f'<th scope="col">{column}</th>' for column in range(data["columns"]))
    ground = f'<tr class="position"><th scope="row">{esc(words["position"])}</th>{ground}</tr>'
    top = f"<tr><td>{esc(words['block'])}</td>{'<td></td>' * data['columns']}</tr>"
    return grid("glm-plane", data["columns"], (), top, "".join(rows) + ground)


def _cell(frame: dict[str, Any], here: list[int]) -> str:
    if not here:
        return "<td></td>"
    text = frame["tokens"][here[0]] if len(here) == 1 else f"{len(here)}×"
    return f"<td class={frame['parts'][here[-1]]}>{_span(text)}</td>"


def _span(text: str) -> str:
    return f"<span{' class=up' if len(text) > NARROW else ''}>{esc(text)}</span>"


def _ids(data: dict[str, Any], frame: dict[str, Any]) -> str:
    """The same numbers as the rows that the model is given, a token a column; columns that are not needed are empty."""
    spare = data["longest"] - len(frame["tokens"])
    heads = "".join(
        f'<th scope="col" class={part}>{_span(token)}</th>'
        for token, part in zip(frame["tokens"], frame["parts"], strict=True)
    )
    written = [*frame["positions"], [""] * len(frame["tokens"])]  # one clock has one row
    rows = (
        token_row(WORDS["clock_plane"][name], "".join(f"<td>{i}</td>" for i in clock) + "<td></td>" * spare, name=name)
        for name, clock in zip(CLOCKS, written, strict=False)
    )
    return grid("glm-ids", data["longest"], (), f"<tr><td></td>{heads}{'<td></td>' * spare}</tr>", "".join(rows))


def _alt(frame: dict[str, Any], name: str) -> str:
    words = WORDS["clock_plane"]
    clocks = (
        f"{words[name]} {' '.join(map(str, clock))}" for name, clock in zip(CLOCKS, frame["positions"], strict=False)
    )
    return fill("clock_plane", "read", way=name, tokens=" ".join(frame["tokens"]), clocks=", ".join(clocks))
