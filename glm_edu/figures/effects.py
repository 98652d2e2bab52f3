"""Effects as a table: one number a cell, shaded by its size, with its interval where there is one."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.cells import Cell, Table, cell_tables, shown_first
from glm_edu.figures.figure import Figure, check_finite, check_rank, check_tokens, fill

FIRST = 3  # cells that the alt text names


def effect_map(
    effects: Mapping[str, Float[Tensor, "rows columns"]], rows: Sequence[str], columns: Mapping[str, Sequence[str]], *,
    told: str, unit: float = 1.0, intervals: Mapping[str, Float[Tensor, "rows columns 2"]] | None = None,
    chosen: str = "", legend: str = "", caption: str = "", title: str = "",
) -> Figure:  # fmt: skip
    """One table for each of ``effects``; a full shade is the largest number of its table.

    Args:
        columns: the headings of each table.
        told: what pointing at a cell says, with {row}, {column} and {value}.
        unit: numbers are shown as whole multiples of it: 0.01 shows percent.
        intervals: shown under the numbers, in the same unit.

    Raises:
        InputError: no number, headings that do not fit, or numbers that are NaN or infinite.
    """
    tables = {}
    for name, values in effects.items():
        check_rank(f"effects[{name!r}]", values, "rows columns")
        check_finite(f"effects[{name!r}]", values)
        if not values.numel():
            raise InputError(f"effects[{name!r}] is {[*values.shape]}: there is nothing to draw.")
        check_tokens("rows", rows, values.shape[0], "row")
        check_tokens("columns", columns[name], values.shape[1], "column")
        ends = None if intervals is None else intervals[name] / unit
        tables[name] = Table(rows, columns[name], _cells(values / unit, rows, columns[name], told, ends))
    alt = _alt(shown_first(tables, chosen))
    return cell_tables(tables, legend, chosen, alt, caption, title, wide=intervals is not None)


def _cells(
    values: Float[Tensor, "rows columns"], rows: Sequence[str], columns: Sequence[str], told: str,
    ends: Float[Tensor, "rows columns 2"] | None,
) -> list[list[Cell]]:  # fmt: skip
    most = float(values.abs().max()) or 1.0

    def cell(r: int, c: int) -> Cell:
        value = _whole(values[r, c])
        note = "" if ends is None else fill("cells", "interval", low=_whole(ends[r, c, 0]), high=_whole(ends[r, c, 1]))
        sentence = told.format(row=rows[r], column=columns[c], value=value) + (f" ({note})" if note else "")
        weight = round(float(values[r, c]) / most, 2)  # what is less is noise, another on another machine
        return Cell(value, weight or 0.0, sentence, note)

    return [[cell(r, c) for c in range(len(columns))] for r in range(len(rows))]


def _whole(value: Tensor) -> str:
    return f"{round(float(value))}".replace("-", "−")  # a minus sign: a hyphen is too short


def _alt(table: Table) -> str:
    sizes = torch.tensor([[abs(cell.weight) for cell in cells] for cells in table.cells]).flatten()  # rows*columns
    tops = sizes.argsort(descending=True, stable=True)[:FIRST].tolist()
    told = (table.cells[i // len(table.columns)][i % len(table.columns)].told for i in tops)
    return fill("cells", "alt_effects", n=len(table.rows), m=len(table.columns), tops="; ".join(told))
