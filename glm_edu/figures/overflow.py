"""Overflow hunt: the largest number of each tensor of each block, as a power of two, beside what float16 can hold."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.cells import Cell, Table, cell_tables, shown_first
from glm_edu.figures.figure import Figure, fill

LARGEST = torch.finfo(torch.float16).max  # 65504, a little below two to the power of 16
FULL = 16  # the power of two with a full shade
BLOCK = (  # what a row is called, and the recorded tensor of a block
    ("stream", "input"),
    ("normed", "input_norm"),
    ("attention", "attention.output"),
    ("+ stream", "middle"),
    ("normed", "post_attention_norm"),
    ("wide", "feedforward.hidden"),
    ("feed-forward", "feedforward.output"),
    ("+ stream", "output"),
)


def largest_map(
    recordings: Mapping[str, Mapping[str, Tensor]], rows: Sequence[tuple[str, str]] = BLOCK, *,
    chosen: str = "", legend: str = "", caption: str = "", title: str = "",
) -> Figure:  # fmt: skip
    """A row for each tensor, a column for each block: n where the largest number is about two to the power of n.

    What is too large for float16 stands in the second colour, and so do infinity and NaN if the recording has them.

    Args:
        recordings: what ``record`` saw, one table for each.
        rows: the heading of a row, and the tensor: ``input`` for ``blocks.0.input``, ``blocks.1.input`` and so on.

    Raises:
        InputError: no recording, no row, or a tensor that was not recorded.
    """
    if not recordings or not rows:
        raise InputError("largest_map needs at least one recording and at least one row.")
    tables = {name: _table(name, seen, rows) for name, seen in recordings.items()}
    first = shown_first(tables, chosen)
    lines = (f"{row}: {' '.join(c.text for c in cells)}" for row, cells in zip(first.rows, first.cells, strict=True))
    alt = fill("overflow", "alt", columns=" ".join(first.columns), rows="; ".join(lines))
    return cell_tables(tables, legend, chosen, alt, caption, title)


def _table(name: str, seen: Mapping[str, Tensor], rows: Sequence[tuple[str, str]]) -> Table:
    first = re.compile(rf"blocks\.\d+\.{re.escape(rows[0][1])}")
    blocks = sum(bool(first.fullmatch(key)) for key in seen)
    wanted = [[f"blocks.{i}.{tensor}" for i in range(blocks)] for _, tensor in rows]
    if not blocks or (absent := [key for line in wanted for key in line if key not in seen]):
        missing = absent[0] if blocks else f"blocks.0.{rows[0][1]}"
        raise InputError(f"recordings[{name!r}] has no {missing}: record it, or leave out its row.")
    cells = [[_cell(key, float(seen[key].double().abs().max())) for key in line] for line in wanted]
    return Table([heading for heading, _ in rows], [str(i) for i in range(blocks)], cells)


def _cell(name: str, largest: float) -> Cell:
    """``largest`` may be 0, infinite or NaN."""
    power = torch.tensor(largest, dtype=torch.float64).log2()
    odd = "NaN" if largest != largest else "∞" if largest == torch.inf else "0" if largest == 0 else ""
    text = odd or f"{round(float(power))}".replace("-", "−")
    fits = largest <= LARGEST  # NaN does not
    told = fill("overflow", "odd" if odd else "fits" if fits else "large", tensor=name, value=text)
    return Cell(text, round(min(max(float(power), 0.0) / FULL, 1.0), 2) if fits else -1.0, told)
