"""Tables with tokens on their axes: what the attention map, the mask painter and the position table share."""

from collections.abc import Sequence

from glm_edu.figures.markup import esc

NARROW = 3  # Latin letters that fit over a column; a Chinese character counts for two


def token_heads(labels: Sequence[str], marks: Sequence[str] = ()) -> str:
    """The first row: a heading a token. Long tokens are turned; those that barely fit shrink on a phone."""
    heads = []
    for i, label in enumerate(labels):
        fit = " class=up" if _width(label) > NARROW else " class=tight" if _width(label) == NARROW else ""
        heads.append(f'<th scope="col"{mark(marks, i)}><span{fit}>{esc(label)}</span></th>')
    return f"<tr><td></td>{''.join(heads)}</tr>"


def token_row(label: str, cells: str, attribute: str = "", name: str = "") -> str:
    """A row with its heading. ``attribute`` is ready markup for the heading, ``name`` the class of the row."""
    row = f' class="{name}"' if name else ""
    return f'<tr{row}><th scope="row"{attribute}><span>{esc(label)}</span></th>{cells}</tr>'


def grid(kind: str, columns: int, row_labels: Sequence[str], head: str, body: str) -> str:
    """The table: ``kind`` is its class; the first column grows where a row label is long."""
    long = " glm-long" if any(_width(label) > 2 * NARROW + 2 for label in row_labels) else ""
    return (
        f'<table class="glm-grid {kind}{long}" style="--n:{columns}"><thead>{head}</thead><tbody>{body}</tbody></table>'
    )


def mark(marks: Sequence[str], index: int) -> str:
    """A class attribute for the entry, or nothing."""
    return f" class={marks[index]}" if index < len(marks) and marks[index] else ""


def _width(label: str) -> int:
    return sum(2 if ord(char) > 0x2E7F else 1 for char in label)
