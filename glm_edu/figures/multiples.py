"""Small multiples: tables beside each other, all in view, for what differs from one to the next."""

from __future__ import annotations

from collections.abc import Mapping

from glm_edu.errors import InputError
from glm_edu.figures.cells import Table, drawn_table, table_data
from glm_edu.figures.figure import Figure, fill
from glm_edu.figures.markup import esc


def small_multiples(tables: Mapping[str, Table], *, told: str, caption: str = "", title: str = "") -> Figure:
    """Each table under its name: in a row where there is room, below each other where there is none.

    A reader compares what is in view together better than what a choice shows in turn; for a choice there is
    ``cell_tables``. ``told`` begins the alt text, which goes on with the words of every table. Raises InputError for no
    tables.
    """
    if not tables:
        raise InputError("small_multiples has no tables; pass a mapping from a name to a Table.")
    data = {"tables": {name: table_data(table) for name, table in tables.items()}}
    read = " ".join(fill("multiples", "alt_table", name=name, rows=_rows(table)) for name, table in tables.items())
    picture = "".join(_one(name, table) for name, table in tables.items())
    return Figure("multiples", data, f"{told} {read}", f'<div class="glm-multiples">{picture}</div>', caption, title)


def _one(name: str, table: Table) -> str:
    words = f'<p class="glm-model"><b>{esc(name)}</b></p>'
    return f'<div class="glm-one" style="--n:{len(table.columns)}">{words}{drawn_table(table)}</div>'


def _rows(table: Table) -> str:
    lines = zip(table.rows, table.cells, strict=True)
    return "; ".join(f"{row} {' '.join(cell.text or '-' for cell in cells)}" for row, cells in lines)
