"""Curves over depth as a plain SVG: what a notebook shows, and a page until plotly has come."""

import math
from dataclasses import dataclass
from itertools import pairwise

from glm_edu.figures.markup import esc, significant
from glm_edu.figures.palette import FAMILIES, WORDS

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 320, 58, 14, 44  # in the drawing's own units


@dataclass(frozen=True)
class Chart:
    """Curves by name, the family of each, the scale, and the axes that follow from them."""

    values: dict[str, list[float]]
    families: dict[str, str]
    log: bool

    @property
    def depth(self) -> int:
        """The last index of the longest curve."""
        return max(len(ys) for ys in self.values.values()) - 1

    @property
    def right(self) -> float:
        """Where the curves end and their names begin: the longest name has room."""
        return WIDTH - max(190, 20 + 7.2 * max(map(len, self.values)))

    @property
    def step(self) -> int:
        """Distance of the ticks on the depth axis: at most eight of them."""
        return max(1, math.ceil(self.depth / 7))

    @property
    def ticks(self) -> list[float]:
        """Round values that enclose the curves: whole powers of ten, or steps of 1, 2 or 5."""
        every = [y for ys in self.values.values() for y in ys]
        low, high = min(every), max(every)
        if self.log:
            start, stop = math.floor(math.log10(low)), math.ceil(math.log10(high))
            return [significant(10.0**power) for power in range(start, max(stop, start + 1) + 1)]
        low = min(low, 0.0)
        span = (high - low) or 1.0
        unit = 10.0 ** math.floor(math.log10(span / 4))
        step = next(unit * factor for factor in (1, 2, 5, 10) if span / (unit * factor) <= 5)
        return [significant(step * i) for i in range(math.floor(low / step), math.ceil((low + span) / step) + 1)]

    def x(self, index: float) -> float:
        """Where a depth stands in the drawing."""
        return round(LEFT + (self.right - LEFT) * index / max(self.depth, 1), 1)

    def y(self, value: float) -> float:
        """Where a norm stands in the drawing."""
        scale = math.log10 if self.log else float
        low, high = scale(self.ticks[0]), scale(self.ticks[-1])
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (scale(value) - low) / (high - low), 1)


def static_curves(chart: Chart) -> str:
    """The SVG: axes, curves with dash and marker by family, and each name at the end of its curve."""
    ends = _spread([chart.y(ys[-1]) for ys in chart.values.values()])
    curves = (_curve(chart, name, end) for name, end in zip(chart.values, ends, strict=True))
    parts = [*(_level(chart, tick) for tick in chart.ticks), *_depths(chart), *curves]
    return f'<svg class="glm-lines" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{esc(text)}</text>'


def _level(chart: Chart, tick: float) -> str:
    y = chart.y(tick)
    return f'<path class="rule" d="M{LEFT} {y:g}H{chart.right:g}"/>' + _text(LEFT - 8, y + 4, f"{tick:g}", "end")


def _depths(chart: Chart) -> list[str]:
    depths = range(0, chart.depth + 1, chart.step)
    marks = [_text(chart.x(i), HEIGHT - BOTTOM + 20, str(i), "middle") for i in depths]
    return [*marks, _text(chart.x(chart.depth / 2), HEIGHT - 4, WORDS["plotly"]["layer"], "middle")]


def _spread(ends: list[float], gap: float = 18) -> list[float]:
    """Move labels that would lie on each other apart, from the top down."""
    for above, below in pairwise(sorted(range(len(ends)), key=ends.__getitem__)):
        ends[below] = max(ends[below], ends[above] + gap)
    return ends


def _curve(chart: Chart, name: str, end: float) -> str:
    points = [(chart.x(i), chart.y(y)) for i, y in enumerate(chart.values[name])]
    family = FAMILIES[chart.families[name]]
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    line = f'<path class="curve" stroke-dasharray="{family.strokes}" d="{path}"/>'
    marks = "".join(_marker(x, y, family.symbol) for x, y in points)
    return f'<g class="glm-{chart.families[name]}">{line}{marks}{_text(points[-1][0] + 10, end + 4, name, "start")}</g>'


def _marker(x: float, y: float, symbol: str) -> str:
    if symbol == "circle":
        return f'<circle cx="{x:g}" cy="{y:g}" r="3.2"/>'
    if symbol == "triangle-up":
        return f'<path class="mark" d="M{x - 4:g} {y + 3:g}h8l-4 -7z"/>'
    turn = f' transform="rotate(45 {x:g} {y:g})"' if symbol == "diamond" else ""
    return f'<rect x="{x - 3:g}" y="{y - 3:g}" width="6" height="6"{turn}/>'
