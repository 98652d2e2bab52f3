"""Shape flow: every tensor of one forward pass in order, with the letters of its shape and the numbers under them."""

import math
import re
from collections.abc import Iterable, Sequence

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, fill
from glm_edu.figures.markup import esc
from glm_edu.record import Row

BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def shape_flow(rows: Sequence[Row], *, caption: str = "", title: str = "") -> Figure:
    """One line a tensor: name, shape, size and meaning; an axis that the row before did not have is marked.

    ``rows`` comes from ``seen.table()``. Blocks whose shapes repeat those of the first are folded. The bar grows with
    the logarithm of the number of elements. Raises InputError for no rows, or letters that do not fit a shape.
    """
    if not rows:
        raise InputError("there are no rows to draw; run the model under record() and pass seen.table().")
    described: list[dict] = []
    for row in rows:
        described.append(_describe(row, described[-1] if described else None))
    groups = list(dict.fromkeys(row["group"] for row in described))
    biggest = max(described, key=lambda row: row["numbers"])
    values = {"letters": " ".join(biggest["letters"]), "numbers": " × ".join(map(str, biggest["shape"]))}
    alt = fill("shape_flow", "alt", n=len(described), groups=len(groups), name=biggest["full"], **values)
    data = {"groups": groups, "rows": described}
    return Figure("shape_flow", data, alt, "".join(_groups(data, biggest["numbers"])), caption, title)


def _describe(row: Row, before: dict | None) -> dict:
    """A row as data: its part ("start", a block's number, "end"), and which axes the row before lacked."""
    letters = row.letters.split()
    if len(letters) != len(row.shape):
        raise InputError(f"{row.name}: the letters {row.letters!r} do not fit the shape {tuple(row.shape)}.")
    match = BLOCK.fullmatch(row.name)
    outside = "start" if before is None or before["group"] == "start" else "end"
    return {
        "full": row.name, "name": match[2] if match else row.name, "group": match[1] if match else outside,
        "letters": letters, "shape": list(row.shape), "dtype": row.dtype, "meaning": row.meaning,
        "numbers": math.prod(row.shape), "new": [before is None or axis not in before["letters"] for axis in letters],
    }  # fmt: skip


def _groups(data: dict, biggest: int) -> Iterable[str]:
    """A list a part; a block that repeats the first block's shapes is folded under a line that says so."""
    members = {group: [row for row in data["rows"] if row["group"] == group] for group in data["groups"]}
    first = next((group for group in data["groups"] if group.isdigit()), None)
    for group, rows in members.items():
        items = f'<ol class="glm-flow">{"".join(_item(row, biggest) for row in rows)}</ol>'
        if first is not None and group.isdigit() and group != first and _signature(rows) == _signature(members[first]):
            line = fill("shape_flow", "same", group=group_name(group), first=group_name(first), n=len(rows))
            yield f'<details data-group="{group}"><summary>{esc(line)}</summary>{items}</details>'
        else:
            yield f'<section data-group="{group}"><p class="glm-part">{esc(group_name(group))}</p>{items}</section>'


def group_name(group: str) -> str:
    """The heading of a part: "start", "block 3", "end"."""
    return fill("shape_flow", "block", i=group) if group.isdigit() else fill("shape_flow", group)


def _signature(rows: list[dict]) -> list[tuple]:
    return [(row["name"], row["letters"], row["shape"]) for row in rows]


def _item(row: dict, biggest: int) -> str:
    axes = "".join(
        f"<span{' class=new' if new else ''}><b>{esc(letter)}</b>{number}</span>"
        for letter, number, new in zip(row["letters"], row["shape"], row["new"], strict=True)
    )
    width = round(100 * math.log(row["numbers"] + 1) / math.log(biggest + 1))
    size = fill("shape_flow", "size", n=f"{row['numbers']:,}", dtype=row["dtype"])
    name, meaning = f"<code>{esc(row['name'])}</code>", f'<span class="what">{esc(row["meaning"])}</span>'
    bar = f'<span class="size" style="--p:{width}">{esc(size)}</span>'
    return f'<li>{name}<span class="axes">{axes}</span>{bar}{meaning}</li>'
