"""Tables whose cells hold a word or a number and are shaded by it; one of several by choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_tokens
from glm_edu.figures.grid import grid, token_heads, token_row
from glm_edu.figures.markup import esc
from glm_edu.figures.panels import one_of


@dataclass(frozen=True)
class Cell:
    """``weight`` is the shade, -1 to 1, negative in the second colour; ``note`` stands small under ``text``.

    ``told`` is what pointing at the cell says.
    """

    text: str
    weight: float
    told: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Cells, a list a row, with the headings of rows and columns."""

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Cell]]

    def __post_init__(self) -> None:
        check_tokens("rows", self.rows, len(self.cells), "row")
        for cells in self.cells:
            check_tokens("columns", self.columns, len(cells), "column")


def cell_tables(
    tables: Mapping[str, Table], legend: str, chosen: str, alt: str, caption: str, title: str, wide: bool = False
) -> Figure:
    """The figure: one table, or one of several by radio buttons that need no script. ``wide`` leaves room for words."""
    drawn = {name: drawn_table(table, wide) for name, table in tables.items()}
    data: dict[str, Any] = {"tables": {name: table_data(table) for name, table in tables.items()}}
    picture, controls = one_of("tables", drawn, legend, chosen, alt + caption + title)
    if controls:
        data |= {"legend": legend, "chosen": chosen}
    return Figure("cells", data, alt, picture, caption, title, controls)


def shown_first(tables: Mapping[str, Table], chosen: str) -> Table:
    """The table that the alt text is about. Raises InputError where there is none."""
    if not tables:
        raise InputError("there is no table to draw.")
    return tables[chosen] if chosen in tables else next(iter(tables.values()))


def drawn_table(table: Table, wide: bool = False) -> str:
    """The table as HTML, shaded; ``wide`` leaves room for words."""
    rows = (token_row(row, "".join(map(_cell, cells))) for row, cells in zip(table.rows, table.cells, strict=True))
    name, heads = "glm-cells glm-wide" if wide else "glm-cells", token_heads(table.columns)
    return grid(name, len(table.columns), table.rows, heads, "".join(rows))


def _cell(cell: Cell) -> str:
    names = " class=nil" if cell.text == "0" else " class=neg" if cell.weight < 0 else ""
    note = f"<small>{esc(cell.note)}</small>" if cell.note else ""
    shade = f'style="--p:{round(100 * abs(cell.weight))}"'
    return f'<td{names} {shade} title="{esc(cell.told)}">{esc(cell.text)}{note}</td>'


def table_data(table: Table) -> dict[str, Any]:
    """What the table shows, JSON-able."""
    return {
        "rows": [*table.rows], "columns": [*table.columns],
        "text": [[cell.text for cell in cells] for cells in table.cells],
        "weight": [[cell.weight for cell in cells] for cells in table.cells],
    }  # fmt: skip
