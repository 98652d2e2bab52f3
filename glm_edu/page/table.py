"""A table of results: a heading a column and a row, the caption with it, and a frame of its own to scroll in."""

from __future__ import annotations

from collections.abc import Sequence

from glm_edu.errors import InputError
from glm_edu.figures.markup import esc, plain, rich
from glm_edu.page.element import Element, style


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str, lit: Sequence[str] = ()) -> Element:
    """Rows of text, the first of each its heading; ``columns`` begins with what the headings of the rows are.

    Args:
        caption: what to notice. Cells and caption may hold `code` and **bold**; all else is escaped.
        lit: headings of the rows that stand out.

    Raises:
        InputError: no rows, a row of another length than ``columns``, or a heading to be lit that no row has.
    """
    if not rows:
        raise InputError("table() has no rows.")
    if wrong := next((row for row in rows if len(row) != len(columns)), None):
        raise InputError(f"The row {wrong[0]!r} has {len(wrong)} cells where the table has {len(columns)} columns.")
    if absent := set(lit) - {row[0] for row in rows}:
        raise InputError(f"No row is headed {sorted(absent)[0]!r}, so none can be lit.")
    head = "".join(f'<th scope="col">{rich(column)}</th>' for column in columns)
    body = "".join(_row(row, row[0] in lit) for row in rows)
    frame = f'<div class="glm-frame" tabindex="0" role="group" aria-label="{esc(plain(caption))}">'
    html = (
        f'<div class="glm-table">{style("glm-table")}{frame}<table><caption><span>{rich(caption)}</span></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )
    return Element("glm-table", f"{plain(caption)} " + "; ".join(", ".join(map(plain, row)) for row in rows), html)


def _row(row: Sequence[str], lit: bool) -> str:
    cells = "".join(f"<td>{rich(cell)}</td>" for cell in row[1:])
    return f'<tr{" class=glm-hit" if lit else ""}><th scope="row">{rich(row[0])}</th>{cells}</tr>'
