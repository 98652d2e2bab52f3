"""The logit lens as a table: what the stream reads as, a row for each depth, a column for each position."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from glm_edu.figures.cells import Cell, Table, cell_tables, shown_first
from glm_edu.figures.figure import Figure, check_finite, check_rank, check_tokens, fill
from glm_edu.figures.markup import token_label
from glm_edu.lens import Guesses, Reading, likeliest


def lens_table(
    readings: Mapping[str, Float[Tensor, "l s v"]], rows: Sequence[str], columns: Sequence[str],
    vocabulary: Sequence[str], *, glosses: Mapping[str, str] | None = None,
    chosen: str = "", legend: str = "", caption: str = "", title: str = "",
) -> Figure:  # fmt: skip
    """The likeliest token in each cell, with its English under it; the shade is its probability.

    ``readings`` holds logits, one table for each way of reading; with more than one, ``legend`` names the choice and
    ``chosen`` is shown first. ``glosses`` gives a token's English. Raises InputError for logits that do not fit their
    headings, or that are NaN or infinite.
    """
    for name, logits in readings.items():
        check_rank(f"readings[{name!r}]", logits, "l s v", "Of logits [l b s v], draw one example: logits[:, 0].")
        check_finite(f"readings[{name!r}]", logits)
        check_tokens("rows", rows, logits.shape[0], "depth")
        check_tokens("columns", columns, logits.shape[1], "position")
        check_tokens("vocabulary", vocabulary, logits.shape[2], "vocabulary")
    read = {name: Reading(rows, columns, likeliest(each, vocabulary.__getitem__)) for name, each in readings.items()}
    return reading_table(read, glosses=glosses, chosen=chosen, legend=legend, caption=caption, title=title)


def reading_table(
    readings: Mapping[str, Reading], *, glosses: Mapping[str, str] | None = None,
    chosen: str = "", legend: str = "", caption: str = "", title: str = "",
) -> Figure:  # fmt: skip
    """``lens_table`` of readings that were made elsewhere: each has rows and columns of its own."""
    tables = {}
    for name, reading in readings.items():
        cells = [
            [_cell(guesses, row, column, glosses or {}) for guesses, column in zip(line, reading.columns, strict=True)]
            for line, row in zip(reading.cells, reading.rows, strict=True)
        ]
        tables[name] = Table(reading.rows, [token_label(column) for column in reading.columns], cells)
    return cell_tables(tables, legend, chosen, _alt(shown_first(tables, chosen)), caption, title, wide=True)


def _cell(guesses: Guesses, row: str, column: str, glosses: Mapping[str, str]) -> Cell:
    words = (f"{token_label(token)} {glosses.get(token, '')}".strip() for token, _ in guesses)
    listed = ", ".join(f"{word} {p:.2f}" for word, (_, p) in zip(words, guesses, strict=True))
    told = fill("cells", "lens", row=row, column=column, tokens=listed)
    token, weight = guesses[0]
    return Cell(token_label(token), round(weight, 2), told, glosses.get(token, ""))


def _alt(table: Table) -> str:
    lines = (f"{row}: {' '.join(c.text for c in cells)}" for row, cells in zip(table.rows, table.cells, strict=True))
    return fill("cells", "alt_lens", columns=" ".join(table.columns), rows="; ".join(lines))
