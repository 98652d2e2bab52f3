"""Group meter: each head has a line to its own group, and the meter is filled to the group's share of the heads."""

from __future__ import annotations

import re

import pytest
from gallery import Markup

from glm_edu import ModelConfig
from glm_edu.errors import ConfigError, InputError
from glm_edu.figures import Figure, group_meter

CONFIG = ModelConfig.preset("tiny-chatglm2")  # 4 heads, 3 layers, head dim 16
Points = list[tuple[float, float]]


def outlines(figure: Figure) -> list[list[list[Points]]]:
    """For each panel its paths in the order of drawing, each a list of outlines: lines, heads, groups, two bars."""
    panels = figure.picture.split('class="glm-panel"')[1:]
    paths = [re.findall(r'<path d="([^"]+)"', panel)[1:] for panel in panels]  # the first is the background
    return [[[_points(part) for part in path.split("M")[1:]] for path in panel] for panel in paths]


def _points(part: str) -> Points:
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", part)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def width(points: Points) -> float:
    return max(x for x, _ in points) - min(x for x, _ in points)


def middle(points: Points) -> float:
    return (max(x for x, _ in points) + min(x for x, _ in points)) / 2


@pytest.mark.parametrize("panel, groups", [(0, 4), (1, 2), (2, 1)])
def test_each_head_has_a_line_to_its_group(panel: int, groups: int) -> None:
    lines, heads, boxes, *_ = outlines(group_meter(CONFIG, (4, 2, 1), chosen=2))[panel]
    assert (len(lines), len(heads), len(boxes)) == (4, 4, groups)
    for head, ((start, _), (end, _)) in enumerate(lines):
        assert start == pytest.approx(middle(heads[head]), abs=0.05)
        assert end == pytest.approx(middle(boxes[head // (4 // groups)]), abs=0.05)


def test_the_meter_is_filled_to_the_share() -> None:
    for groups, (*_, frame, filled) in zip((4, 2, 1), outlines(group_meter(CONFIG, (4, 2, 1), chosen=2)), strict=True):
        assert width(filled[0]) / width(frame[0]) == pytest.approx(groups / 4, abs=0.01)


def test_the_words_say_what_a_token_costs() -> None:
    figure = group_meter(ModelConfig.preset("chatglm2-6b"), (32, 2), chosen=32, caption="a & b")
    assert figure.alt.endswith("Cache a token by number of groups: 32: 448 KiB; 2: 28 KiB.")
    assert [chosen[0]["texts"][2] for chosen in figure.data["choices"].values()] == [
        "448 KiB a token",
        "28 KiB a token",
    ]
    assert Markup(figure.html).text["legend"] == ["Groups"] and "a &amp; b" in figure.html


@pytest.mark.parametrize(
    "groups, chosen, error, says",
    [((4, 3), 4, ConfigError, "not a multiple"), ((4,), 4, InputError, "2 to 8"), ((4, 2), 1, InputError, "does not")],
)
def test_what_cannot_be_chosen_is_refused(groups: tuple[int, ...], chosen: int, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        group_meter(CONFIG, groups, chosen=chosen)
