"""Rotary clocks: the hands and the score are those of the network, and the sliders in the page turn them alike."""

import math
from dataclasses import replace

import pytest
import torch
from gallery import Markup, clocks
from live_page import in_browser_thread

from glm_edu import ModelConfig
from glm_edu.errors import InputError
from glm_edu.figures import pairs_of, rotary_clocks
from glm_edu.figures.rotary import hands
from glm_edu.model.rotary import angle_table, apply_rotary, frequencies
from glm_edu.widgets import explore_rotary

DATA = clocks().data


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-chatglm2"])
def test_the_score_is_that_of_the_network_at_every_shift_and_distance(name):
    config = replace(ModelConfig.preset(name), rotary_frequencies="float32")
    torch.manual_seed(0)
    query, key = torch.randn(2, config.head_dim)
    r = config.rotary_dim
    q, k = (pairs_of(x[:r], config.rotary_pairing) for x in (query, key))
    rest = float(query[r:] @ key[r:]) if r < config.head_dim else None
    data = rotary_clocks(q, k, frequencies(config, torch.float32), rest=rest).data
    for shift, distance in ((0, 0), (0, 1), (7, 3), (90, 24)):
        angles = angle_table(config, torch.tensor([[shift + distance, shift]]), torch.float32)
        turned = apply_rotary(torch.stack([query, key])[None, None], angles, config.rotary_pairing)[0, 0]
        assert hands(data, shift, distance)[2] == pytest.approx(float(turned[0] @ turned[1]), abs=0.15)  # three digits


def test_a_shift_turns_every_hand_and_moves_no_number():
    here, there = hands(DATA, 0, 5), hands(DATA, 40, 5)
    assert there[1] == pytest.approx(here[1], abs=1e-9)
    assert there[2] == pytest.approx(here[2], abs=1e-9)
    for before, after, turn in zip(here[0], there[0], DATA["frequencies"], strict=True):
        assert [b - a for a, b in zip(before, after, strict=True)] == pytest.approx([40 * turn] * 2)


def test_the_picture_without_a_script_shows_the_start():
    figure = clocks()
    page = Markup(figure.picture)
    angles, parts, score = hands(DATA, 0, 2)
    assert [text for text in page.text["b"]] == [f"{x:+.2f}".replace("-", "−") for x in (*parts, -0.5)]
    assert f"distance 2, score {score:+.2f}".replace("-", "−") in page.text["p"][1]
    drawn = [path for path in page.all("path") if path.get("class") == "query"]
    x, y = (float(part) for part in drawn[0]["d"].split("L")[1].split())
    assert math.atan2(-y, x) == pytest.approx(math.remainder(angles[0][0], math.tau), abs=0.05)
    assert page.text["small"][-1] == "does not turn" and page.text["small"][0] == "6.3 tokens"


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"key": torch.ones(2, 2)}, "do not fit"),
        ({"frequencies": torch.ones(3)}, "do not fit"),
        ({"query": torch.ones(4, 3), "key": torch.ones(4, 3)}, "do not fit"),
        ({"distance": 25}, "start within the sliders"),
        ({"shift": -1}, "start within the sliders"),
        ({"query": torch.full((4, 2), float("nan"))}, "NaN"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused(changed, says):
    given = {"query": torch.ones(4, 2), "key": torch.ones(4, 2), "frequencies": torch.ones(4)} | changed
    with pytest.raises(InputError, match=says):
        rotary_clocks(**given)


def test_pairs_are_those_that_turn_together():
    x = torch.arange(6)
    assert pairs_of(x, "half").tolist() == [[0, 3], [1, 4], [2, 5]]
    assert pairs_of(x, "pairs").tolist() == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(InputError, match="'half' or 'pairs'"):
        pairs_of(x, "thirds")


@in_browser_thread
def test_the_page_turns_the_hands_as_python_does(visit):
    for shift, distance in ((0, 0), (11, 3), (60, 12)):
        page = visit.page.evaluate("a => glm.rotaryHands(...a)", [DATA, shift, distance])
        angles, parts, score = hands(DATA, shift, distance)
        assert [value for pair in page["angles"] for value in pair] == pytest.approx(
            [a for pair in angles for a in pair]
        )
        assert page["parts"] == pytest.approx(parts)
        assert page["score"] == pytest.approx(score)


@in_browser_thread
def test_the_first_slider_turns_hands_and_the_second_moves_the_score(visit):
    figure = visit.figure("clocks")
    shift, distance = figure.locator("input[type=range]").all()
    numbers = figure.locator(".glm-dial b")
    query, dot = figure.locator(".query").nth(1), figure.locator(".dot")
    before, drawn, at = numbers.all_text_contents(), query.get_attribute("d"), dot.get_attribute("cx")
    shift.press("End")
    assert numbers.all_text_contents() == before and dot.get_attribute("cx") == at
    assert query.get_attribute("d") != drawn
    assert "Both tokens moved by 60" in figure.locator(".glm-read").text_content()
    distance.press("ArrowRight")
    _, parts, score = hands(DATA, 60, 3)
    assert numbers.all_text_contents()[:4] == [f"{part:+.2f}".replace("-", "−") for part in parts]
    assert f"Key at 60, query at 63: distance 3, score {score:+.2f}".replace("-", "−") == (
        figure.locator(".glm-score-now").text_content()
    )
    assert dot.get_attribute("cx") != at


def test_the_widget_draws_with_another_base():
    query, key = torch.ones(2, 4, 2)
    box = explore_rotary(query, key)
    assert box.figure.data["frequencies"] == [1, 0.1, 0.01, 0.001]
    box.controls["base"].value = 100.0
    box.controls["distance"].value = 9
    assert box.figure.data["frequencies"] == pytest.approx([1, 0.3162, 0.1, 0.03162])
    assert (box.figure.data["distance"], box.figure.data["rest"]) == (9, None)
