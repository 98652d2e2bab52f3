"""Residual norms: how long the vector in the residual stream is after each block."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_finite, check_rank, fill
from glm_edu.figures.lines import Chart, static_curves
from glm_edu.figures.markup import esc, significant
from glm_edu.figures.palette import FAMILIES, WORDS


def residual_norms(
    curves: Mapping[str, Float[Tensor, "layers_plus_1"]],
    *,
    log: bool = True,
    families: Mapping[str, str] | None = None,
    caption: str = "",
    title: str = "",
) -> Figure:
    """One curve a stream: the norm before the first block and after each block, plotly's JSON in ``data``.

    ``families`` maps a curve's name to v1, v2, llama or nobody; without it the curves take the four in turn. Each
    family has its own dash and marker beside its colour. Raises InputError for no curves, more than one axis, an
    unknown family, or values that a log scale cannot show.
    """
    if not curves:
        raise InputError("curves is empty; pass a mapping from a name to a tensor of norms, one for each depth.")
    values = {name: _values(name, curve, log) for name, curve in curves.items()}
    given = families or {}
    chosen = {name: given.get(name, list(FAMILIES)[i % len(FAMILIES)]) for i, name in enumerate(values)}
    if unknown := {*chosen.values()} - {*FAMILIES}:
        raise InputError(f"unknown families {sorted(unknown)}; they are {', '.join(FAMILIES)}.")
    chart = Chart(values, chosen, log)
    data = {"data": [_trace(name, ys, chosen[name]) for name, ys in values.items()], "layout": _layout(chart)}
    parts = (fill("plotly", "curve", name=name, first=ys[0], last=ys[-1], n=len(ys) - 1) for name, ys in values.items())
    alt = fill("plotly", "alt", scale=WORDS["plotly"]["log" if log else "linear"], curves="; ".join(parts))
    return Figure("plotly", data, alt, static_curves(chart), caption, title)


def stream_norms(seen: Mapping[str, Tensor]) -> Float[Tensor, "layers_plus_1"]:
    """Norm of the residual stream before the first block and after each, averaged over tokens, from a recording.

    ``seen`` holds ``blocks.0.input`` and ``blocks.{i}.output``. Raises RecordError if one was not recorded.
    """
    layers = sum(name.startswith("blocks.") and name.endswith(".output") and name.count(".") == 2 for name in seen)
    names = ["blocks.0.input", *(f"blocks.{i}.output" for i in range(layers))]
    return torch.stack([seen[name].float().norm(dim=-1).mean() for name in names])


def _values(name: str, curve: Tensor, log: bool) -> list[float]:
    check_rank(f"curve {name!r}", curve, "layers+1", "Reduce it to one norm for each depth.")
    check_finite(f"curve {name!r}", curve)
    if log and bool((curve <= 0).any()):
        raise InputError(f"curve {name!r} is not positive everywhere, which a log scale cannot show: pass log=False.")
    return [significant(value) for value in curve.tolist()]


def _trace(name: str, ys: list[float], family: str) -> dict:
    """A plotly trace. Its colour is not here: live.js takes it from the page, by ``meta.colour``."""
    style = FAMILIES[family]
    return {
        "type": "scatter", "mode": "lines+markers", "name": esc(name), "x": list(range(len(ys))), "y": ys,
        "line": {"dash": style.dash, "width": 2}, "marker": {"symbol": style.symbol, "size": 7},
        "meta": {"family": family, "colour": style.colour},
        "hovertemplate": "%{x}: %{y}<extra>%{fullData.name}</extra>",
    }  # fmt: skip


def _layout(chart: Chart) -> dict:
    words, ticks = WORDS["plotly"], chart.ticks
    ends = [significant(math.log10(tick)) if chart.log else tick for tick in (ticks[0], ticks[-1])]
    edge = significant(0.02 * max(chart.depth, 1))
    return {
        "xaxis": {"title": _title(words["layer"]), "range": [-edge, chart.depth + edge], "dtick": chart.step},
        "yaxis": {
            "title": _title(words["norm"]), "type": "log" if chart.log else "linear", "range": ends,
            "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks],
        },
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 62, "r": 12, "t": 24, "b": 48}, "height": 360, "hovermode": "x",
    }  # fmt: skip


def _title(text: str) -> dict:
    return {"text": esc(text), "font": {"size": 13}}
