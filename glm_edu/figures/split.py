"""Split map: the weights of one block as PyTorch cuts them over devices, and the pieces that one of them holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from glm_edu.errors import InputError
from glm_edu.figures.drawings import choices
from glm_edu.figures.figure import Figure, fill
from glm_edu.figures.palette import LIGHT, WORDS, house_style
from glm_edu.figures.panels import MOST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Plot

    from glm_edu.parallel.splits import Split, SplitPlan

GAP, THIN = 0.35, 0.25  # in hidden sizes: between weights, and the least that a weight is drawn wide
Box = tuple[str, float, float, float, float]  # name; left, top, width, height in hidden sizes


def split_map(plan: SplitPlan, *, caption: str = "", title: str = "") -> Figure:
    """The weights of a block as W in ``x @ W``: rows are inputs, columns outputs. What the chosen rank holds is filled.

    Widths are true to scale, but for keys and values that would be thinner than a quarter of the hidden size. Raises
    InputError for one rank, or more than eight.
    """
    if not 2 <= plan.ranks <= MOST:
        raise InputError(f"The plan is for {plan.ranks} ranks; this figure shows 2 to {MOST}.")
    words, boxes = WORDS["split_map"], list(_boxes(plan))
    plots = {fill("split_map", "rank", rank=rank): _plot(plan, boxes, rank) for rank in range(plan.ranks)}
    rows = {name: plan.row(f"{_stem(name)}.weight") for name, *_ in boxes}
    said = "; ".join(fill("split_map", row.cut, name=name, pieces=row.pieces) for name, row in rows.items())
    alt = fill("split_map", "alt", ranks=plan.ranks, said=said)
    return choices(plots, legend=words["legend"], chosen=next(iter(plots)), alt=alt, caption=caption, title=title)


def _stem(name: str) -> str:
    return f"blocks.0.{'attention' if name in ('query', 'key', 'value', 'output') else 'feedforward'}.{name}"


def _boxes(plan: SplitPlan) -> Iterator[Box]:
    """Attention in the first line; the feed-forward's way up below it, and its way down at the right."""
    config = plan.config
    unit, left = config.hidden_size, 0.0
    heads, groups = config.num_heads * config.head_dim / unit, config.num_kv_groups * config.head_dim / unit
    for name, width in (("query", heads), ("key", groups), ("value", groups), ("output", 1.0)):
        width = max(width, THIN)
        yield name, left, 0.0, width, heads if name == "output" else 1.0
        left += width + GAP
    wide = config.feedforward_size / unit
    top = max(1.0, heads) + GAP
    for name in ("gate", "up") if config.feedforward == "gated" else ("up",):
        yield name, 0.0, top, wide, 1.0
        top += 1 + GAP
    yield "down", max(left, wide + GAP), 0.0, 1.0, wide


def _plot(plan: SplitPlan, boxes: list[Box], rank: int) -> Plot:
    import matplotlib.pyplot as plt

    right, bottom = max(x + w for _, x, _, w, _ in boxes), max(y + h for _, _, y, _, h in boxes)
    with plt.rc_context(house_style()):
        figure, axes = plt.subplots(figsize=(6.6, 6.6 * (bottom + 0.28) / right))
    axes.set(xlim=(-0.03, right + 0.03), ylim=(bottom + 0.03, -0.25), aspect="equal")
    axes.set_axis_off()
    for name, left, top, width, height in boxes:
        axes.text(left, top - 0.06, name, color=LIGHT["soft"], fontsize=9)
        row = plan.row(f"{_stem(name)}.weight")
        held = rank * row.pieces // plan.ranks  # where pieces are fewer than ranks, neighbours hold the same one
        _pieces(axes, row, held, (left, top, width, height))
    return figure


def _pieces(axes: Axes, row: Split, held: int, place: tuple[float, float, float, float]) -> None:
    """The pieces of one weight, one of them filled."""
    from matplotlib.patches import Rectangle

    left, top, width, height = place
    across, down = (row.pieces, 1) if row.cut == "columns" else (1, row.pieces)
    for piece in range(row.pieces):
        corner = (left + width * piece / across, top) if across > 1 else (left, top + height * piece / down)
        face = LIGHT["v2" if piece == held else "wash"]
        axes.add_patch(Rectangle(corner, width / across, height / down, fc=face, ec=LIGHT["soft"], lw=0.8))
