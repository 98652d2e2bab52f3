"""Position table: the clocks of a sequence, as numbers and as bars, one column a token."""

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_rank, check_tokens, fill
from glm_edu.figures.grid import grid, mark, token_heads, token_row
from glm_edu.figures.markup import token_label
from glm_edu.figures.palette import WORDS

CLOCKS = ("position", "block")


def position_table(
    position_ids: Int[Tensor, "c s"],
    tokens: Sequence[str],
    *,
    caption: str = "",
    title: str = "",
) -> Figure:
    """One clock (``c`` = 1) or ChatGLM-6B's two (``c`` = 2: position, block), with the column of sop marked.

    sop is where the block clock starts. The live control grows the sequence token by token, so that you see which
    clock stands still. Raises InputError if the tokens do not fit, or for more than two clocks.
    """
    check_rank(
        "position_ids",
        position_ids,
        "c s",
        "Of a recorded tensor, draw one example: position_ids[0] (1D: position_ids[:1]).",
    )
    labels = [token_label(token) for token in tokens]
    check_tokens("tokens", labels, position_ids.shape[1], "position")
    if not 1 <= position_ids.shape[0] <= 2:
        raise InputError(f"position_ids has {position_ids.shape[0]} rows; there are one or two clocks: [1 s] or [2 s].")
    clocks = position_ids.tolist()
    blocks = clocks[1] if len(clocks) == 2 else []
    sop = next((i for i, block in enumerate(blocks) if block), None)
    data = {"tokens": labels, "positions": clocks, "sop": sop}
    return Figure("position_table", data, _alt(data), _table(data), caption, title)


def _table(data: dict) -> str:
    labels = data["tokens"]
    marks = ["sop" if i == data["sop"] else "" for i in range(len(labels))]
    top = max(1, *(max(clock) for clock in data["positions"]))
    body = "".join(_clock(name, clock, top, marks) for name, clock in zip(CLOCKS, data["positions"], strict=False))
    return grid("glm-clocks", len(labels), (), token_heads(labels, marks), body)


def _clock(name: str, clock: list[int], top: int, marks: list[str]) -> str:
    """A row of numbers, each on a bar as high as the number: a clock that stands still is a flat line."""
    cells = (
        f'<td{mark(marks, i)} style="--p:{round(100 * value / top)}"><b>{value}</b></td>'
        for i, value in enumerate(clock)
    )
    return token_row(WORDS["position_table"][name], "".join(cells), name=name)


def _alt(data: dict) -> str:
    clocks, sop = data["positions"], data["sop"]
    if len(clocks) == 1:
        detail = fill("position_table", "alt1", first=clocks[0][0], last=clocks[0][-1])
    elif sop is not None and set(clocks[0][sop:]) == {clocks[0][sop]}:
        values = {"first": clocks[0][0], "stop": max(clocks[0]), "last": clocks[1][-1], "token": data["tokens"][sop]}
        detail = fill("position_table", "alt2", **values)
    else:
        detail = fill("position_table", "alt2_free", positions=_join(clocks[0]), blocks=_join(clocks[1]))
    return fill("position_table", "alt", n=len(data["tokens"]), detail=detail)


def _join(ids: list[int]) -> str:
    return " ".join(map(str, ids))
