"""Tables of words beside each other: what several models call, hold or do at the same places; one table by choice."""

from __future__ import annotations

import re
from collections.abc import Mapping

from glm_edu.figures.cells import Cell, Table
from glm_edu.figures.figure import Figure
from glm_edu.figures.markup import esc
from glm_edu.figures.panels import one_of


def side_by_side(
    tables: Mapping[str, Table], *, alt: str, legend: str = "", chosen: str = "", caption: str = "", title: str = ""
) -> Figure:
    """A column a model, a row a place: a number or a word, a note under it, shaded by the cell's weight.

    With more than one table, ``legend`` names the choice and ``chosen`` is shown first. The columns are as wide as the
    page allows, so that names fit; for many narrow columns there are ``cell_tables``. Raises InputError for a choice
    that cannot be made.
    """
    data = {"tables": {name: _data(table) for name, table in tables.items()}}
    drawn = {name: _table(table) for name, table in tables.items()}
    picture, controls = one_of("tables", drawn, legend, chosen, alt + caption + title)
    return Figure("side_by_side", data, alt, picture, caption, title, controls)


def _data(table: Table) -> dict[str, object]:
    return {
        "rows": [*table.rows], "columns": [*table.columns],
        "text": [[cell.text for cell in cells] for cells in table.cells],
        "note": [[cell.note for cell in cells] for cells in table.cells],
        "weight": [[round(cell.weight, 2) for cell in cells] for cells in table.cells],
    }  # fmt: skip


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col">{esc(column)}</th>' for column in table.columns)
    rows = (
        f'<tr><th scope="row"><code>{_breakable(name)}</code></th>{"".join(map(_cell, cells))}</tr>'
        for name, cells in zip(table.rows, table.cells, strict=True)
    )
    return f'<table class="glm-beside"><thead><tr><td></td>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _breakable(text: str) -> str:
    """Escaped, and free to break after an underscore or a dot."""
    return re.sub(r"([_.])(?=\w{3})", r"\1<wbr>", esc(text))


def _cell(cell: Cell) -> str:
    note = f"<small>{_breakable(cell.note)}</small>" if cell.note else ""
    return f'<td style="--p:{round(100 * abs(cell.weight))}" title="{esc(cell.told)}">{esc(cell.text)}{note}</td>'
