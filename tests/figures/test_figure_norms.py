"""Residual norms: the curves are the tensors, on both drawings, and nobody needs the colour."""

import re

import plotly.graph_objects as go
import pytest
import torch
from gallery import Markup, poem

from glm_edu.errors import GLMError
from glm_edu.figures import residual_norms, stream_norms
from glm_edu.figures.palette import FAMILIES

CURVES = {"grows": 8 * 1.2 ** torch.arange(29.0), "flat": torch.full((29,), 59.87654321)}


def test_curves_are_the_tensors_to_four_digits():
    traces = residual_norms(CURVES).data["data"]
    assert [trace["name"] for trace in traces] == list(CURVES)
    for trace, curve in zip(traces, CURVES.values(), strict=True):
        assert trace["x"] == list(range(29))
        assert trace["y"] == [float(f"{value:.4g}") for value in curve.tolist()]


def test_plotly_accepts_the_figure():
    data = residual_norms(CURVES).data
    go.Figure(data=data["data"], layout=data["layout"])  # raises on a property that it does not know


def test_families_differ_in_dash_and_marker_not_in_colour_alone():
    names = {name: name for name in FAMILIES}
    traces = residual_norms({name: CURVES["grows"] for name in names}, families=names).data["data"]
    assert [trace["meta"]["family"] for trace in traces] == list(names.values())
    assert len({trace["line"]["dash"] for trace in traces}) == len(FAMILIES)
    assert len({trace["marker"]["symbol"] for trace in traces}) == len(FAMILIES)
    assert all("color" not in trace["line"] for trace in traces)  # the page gives it, light or dark


def test_the_static_drawing_has_every_point_and_names_every_curve():
    picture = residual_norms(CURVES).picture
    points = [path.count("L") + 1 for path in re.findall(r'class="curve"[^>]* d="([^"]*)"', picture)]
    assert points == [29, 29]
    assert {"grows", "flat", "blocks passed"} <= set(Markup(picture).text["text"])


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("values", [[1.0, 1.0], [0.001, 5000.0], [3.0, 4.0, 5.5], [7.0]])
def test_points_stay_inside_the_axes_and_labels_apart(values, log):
    picture = residual_norms({"a": torch.tensor(values), "b": torch.tensor(values)}, log=log).picture
    levels = [float(y) for y in re.findall(r'class="rule" d="M[\d.]+ ([\d.]+)H', picture)]
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', picture)]
    assert min(levels) - 0.1 <= min(heights) <= max(heights) <= max(levels) + 0.1
    ends = [float(y) for y in re.findall(r' y="([\d.]+)" text-anchor="start"', picture)]
    assert abs(ends[0] - ends[1]) >= 17.9


def test_linear_axis_reaches_below_zero_where_a_curve_does():
    figure = residual_norms({"a": torch.tensor([-3.0, 2.0])}, log=False)
    assert figure.data["layout"]["yaxis"]["range"][0] <= -3


def test_stream_norms_are_means_over_tokens_of_the_recorded_stream():
    seen = poem().seen
    norms = stream_norms(seen)
    names = ["blocks.0.input", "blocks.0.output", "blocks.1.output", "blocks.2.output"]
    expected = torch.tensor([seen[name].square().sum(-1).sqrt().mean() for name in names])
    torch.testing.assert_close(norms, expected)


def test_alt_text_gives_the_ends_of_each_curve():
    alt = residual_norms(CURVES).alt
    assert "logarithmic" in alt
    assert "grows: 8 before the first block, 1319 after block 28" in alt


def test_what_cannot_be_drawn_is_refused():
    one = torch.ones(3)
    with pytest.raises(GLMError, match="curves is empty"):
        residual_norms({})
    with pytest.raises(GLMError, match=r"not positive.*log=False"):
        residual_norms({"a": torch.tensor([0.0, 1.0])})
    with pytest.raises(GLMError, match="curve 'a' holds 1 values that are NaN"):
        residual_norms({"a": torch.tensor([float("inf"), 1.0])})
    with pytest.raises(GLMError, match=f"unknown families.*{', '.join(FAMILIES)}"):
        residual_norms({"a": one}, families={"a": "gpt"})
