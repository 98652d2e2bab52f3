"""Which head reads which keys: every head above, the keys and values that are kept below, and what a token costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from glm_edu.config import ModelConfig
from glm_edu.cost.formulas import cache_bytes
from glm_edu.figures.drawings import choices
from glm_edu.figures.figure import Figure, fill
from glm_edu.figures.palette import LAYOUT_FAMILIES, LIGHT, WORDS, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Plot

BOX, TOP, LOW, METER = 0.72, 3.1, 1.0, -0.75  # width of a box in places, and the heights of the three lines
Outline = list[tuple[float, float]]


def group_meter(
    config: ModelConfig, groups: Sequence[int], *, chosen: int, caption: str = "", title: str = ""
) -> Figure:  # fmt: skip
    """A choice of how many groups ``config`` has: its heads, the group that each reads, and KiB of cache a token.

    The meter is filled up to what the choice costs; its frame is a group for each head. Bytes are those of float16.
    Raises ConfigError for a number of groups that does not divide the heads, InputError for fewer than two numbers,
    more than eight, or a ``chosen`` that is none of them.
    """
    columns = {fill("group_meter", "name", g=g): replace(config, num_kv_groups=g) for g in groups}
    plots = {name: _plot(column) for name, column in columns.items()}
    said = "; ".join(fill("group_meter", "said", g=c.num_kv_groups, kib=_kib(c)) for c in columns.values())
    alt = fill("group_meter", "alt", n=config.num_heads, layers=config.num_layers, said=said)
    legend, first = WORDS["group_meter"]["legend"], fill("group_meter", "name", g=chosen)
    return choices(plots, legend=legend, chosen=first, alt=alt, caption=caption, title=title)


def _kib(config: ModelConfig) -> str:
    return f"{cache_bytes(config, 1) / 1024:g}"


def _plot(config: ModelConfig) -> Plot:
    import matplotlib.pyplot as plt

    heads, groups = config.num_heads, config.num_kv_groups
    each, colour = heads // groups, LIGHT[LAYOUT_FAMILIES[config.layout]]
    with plt.rc_context(house_style()):
        figure, axes = plt.subplots(figsize=(4.4, 2.3))
    axes.set(xlim=(-0.6, heads - 0.4), ylim=(METER - 0.95, TOP + 1.25))
    axes.set_axis_off()
    places = [group * each + (each - 1) / 2 for group in range(groups)]  # each group under the middle of its heads
    lines = [[(head, TOP), (places[head // each], LOW + BOX)] for head in range(heads)]
    _draw(axes, lines, "none")
    _draw(axes, [_box(head - BOX / 2, TOP, BOX, BOX) for head in range(heads)], LIGHT["wash"])
    _draw(axes, [_box(place - BOX / 2, LOW, BOX, BOX) for place in places], colour)
    whole = heads - 1 + BOX  # the meter: a frame as long as all heads, filled to the share of groups among them
    _draw(axes, [_box(-BOX / 2, METER, whole, 0.5)], LIGHT["wash"])
    _draw(axes, [_box(-BOX / 2, METER, whole * groups / heads, 0.5)], colour)
    _write(axes, config)
    return figure


def _write(axes: Axes, config: ModelConfig) -> None:
    heads, left = config.num_heads, -BOX / 2
    axes.text(left, TOP + BOX + 0.15, fill("group_meter", "ask", n=heads), color=LIGHT["ink"])
    axes.text(left, LOW - 0.75, fill("group_meter", "keep", g=config.num_kv_groups), color=LIGHT["ink"])
    axes.text(left, METER - 0.8, fill("group_meter", "costs", kib=_kib(config)), color=LIGHT["ink"], weight="bold")
    axes.text(heads - 1 + BOX / 2, METER - 0.8, WORDS["group_meter"]["frame"], color=LIGHT["soft"], ha="right")


def _box(left: float, low: float, width: float, height: float) -> Outline:
    return [(left, low), (left + width, low), (left + width, low + height), (left, low + height), (left, low)]


def _draw(axes: Axes, outlines: Sequence[Outline], face: str) -> None:
    """All outlines as one path, so that thirty boxes are one element of the page."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    path = Path.make_compound_path(*map(Path, outlines))
    axes.add_patch(PathPatch(path, fc=face, ec=LIGHT["soft"], lw=0.7))
