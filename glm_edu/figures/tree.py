"""Module trees: what an official model prints, what it is called here, its shape, and its share of the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, fill
from glm_edu.figures.markup import esc
from glm_edu.figures.palette import WORDS
from glm_edu.figures.panels import one_of

if TYPE_CHECKING:
    from glm_edu.source_map import Line

COLUMNS = ("official", "ours", "shape", "parameters")


def module_trees(
    trees: Mapping[str, Sequence[Line]], *, legend: str = "", chosen: str = "", caption: str = "", title: str = ""
) -> Figure:
    """A line a module, indented as it is printed; bars are shares of the largest model, so that they compare.

    ``trees`` comes from ``module_tree``, a name each; with more than one, ``legend`` names the choice and ``chosen``
    is shown first. A bar inside the layers counts all of them. Raises InputError for no tree, an empty one, or a choice
    that cannot be made.
    """
    if not trees or not all(trees.values()):
        raise InputError("there is no module tree to draw; pass {name: module_tree(config)}.")
    most = max(lines[0].parameters for lines in trees.values())
    drawn = {name: _table(name, lines, most) for name, lines in trees.items()}
    said = (fill("module_trees", "said", name=name, n=f"{lines[0].parameters:,}") for name, lines in trees.items())
    alt = fill("module_trees", "alt", trees="; ".join(said))
    data: dict[str, Any] = {"trees": {name: [_data(line) for line in lines] for name, lines in trees.items()}}
    picture, controls = one_of("trees", drawn, legend, chosen, alt + caption + title)
    if controls:
        data |= {"legend": legend, "chosen": chosen}
    return Figure("module_trees", data, alt, picture, caption, title, controls)


def _data(line: Line) -> dict[str, Any]:
    return {
        "path": line.path, "kind": line.kind, "ours": [*line.ours], "shape": [*line.shape],
        "parameters": line.parameters,
    }  # fmt: skip


def _table(name: str, lines: Sequence[Line], most: int) -> str:
    words = WORDS["module_trees"]
    head = "".join(f'<th scope="col">{esc(words[column])}</th>' for column in COLUMNS)
    body = "".join(_row(line, lines[0].parameters, most) for line in lines)
    label = esc(words["label"].format(name=name))
    return f'<table class="glm-tree" aria-label="{label}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(line: Line, all_of_them: int, most: int) -> str:
    many = line.name == "{i}" and line.copies > 1
    kind = fill("module_trees", "copies", layers=line.copies, name=line.kind) if many else line.kind
    name = fill("module_trees", "each", last=line.copies - 1) if many else line.name.replace("{i}", "0")
    official = (f"<code>({esc(name)})</code> " if name else "") + f"<span>{esc(kind)}</span>"
    shape = " × ".join(str(size) for size in line.shape)
    size = f"{line.parameters:,}<small>{esc(_share(line, all_of_them))}</small>" if line.parameters else ""
    bar = f'style="--p:{100 * line.parameters / most:.2f}"'
    names = ' class="leaf"' if line.shape else ""
    cells = f'<th scope="row">{official}</th><td>{_codes(line.ours)}</td><td>{shape}</td><td {bar}>{size}</td>'
    return f"<tr{names} style=--d:{line.depth}>{cells}</tr>"


def _share(line: Line, all_of_them: int) -> str:
    """Of the whole model; what one layer holds, at the line of all layers."""
    if line.name == "{i}" and line.copies > 1:
        return fill("module_trees", "sum", layers=line.copies, one=f"{line.parameters // line.copies:,}")
    share = line.parameters / all_of_them
    return f"{share:.1%}" if share >= 0.001 else WORDS["module_trees"]["little"]


def _codes(names: Iterable[str]) -> str:
    """Our names without the block that they all stand in."""
    return ", ".join(f"<code>{esc(name.removeprefix('blocks.{i}.').replace('{i}', 'i'))}</code>" for name in names)
