"""Rotary clocks: the hands and the score are those of the network, and the slider in the page turns them alike."""

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


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


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
    drawn = [path for path in page.all("path") if path.get("class") == "query"]
    numbers = []
    for row, distance in enumerate((2, 5)):
        angles, parts, score = hands(DATA, 0, distance)
        numbers += [signed(x) for x in (*parts, -0.5)]
        assert page.text["p"][row] == f"Distance {distance}: key at 0, query at {distance}, score {signed(score)}"
        x, y = (float(part) for part in drawn[4 * row]["d"].split("L")[1].split())
        assert math.atan2(-y, x) == pytest.approx(math.remainder(angles[0][0], math.tau), abs=0.05)
    assert page.text["b"] == numbers
    assert page.text["small"][-1] == "does not turn" and page.text["small"][0] == "6.3 tokens", "under the last row"
    assert len(page.text["small"]) == 5
    assert len([circle for circle in page.all("circle") if circle.get("class") == "dot"]) == 2, "one a row"


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"key": torch.ones(2, 2)}, "do not fit"),
        ({"frequencies": torch.ones(3)}, "do not fit"),
        ({"query": torch.ones(4, 3), "key": torch.ones(4, 3)}, "do not fit"),
        ({"distances": (1, 25)}, "start within the slider"),
        ({"distances": ()}, "start within the slider"),
        ({"shift": -1}, "start within the slider"),
        ({"query": torch.full((4, 2), float("nan"))}, "NaN"),
        ({"frequencies": torch.tensor([1.0, 0.1, 0.01, 0.0])}, "at least one pair turns, all of them forwards"),
        ({"frequencies": -torch.ones(4)}, "all of them forwards"),
        ({"rest": float("nan")}, "is a number or None"),
        ({"query": torch.ones(0, 2), "key": torch.ones(0, 2), "frequencies": torch.ones(0)}, "at least one pair"),
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


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("pairing", ["half", "pairs"])
def test_an_odd_number_of_elements_makes_no_pairs(pairing):
    with pytest.raises(InputError, match=r"x is \[2, 3\]: an odd number"):
        pairs_of(torch.ones(2, 3), pairing)


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
def test_the_slider_turns_the_hands_of_every_row_and_no_number(visit):
    figure = visit.figure("clocks")
    numbers = figure.locator(".glm-dial b")
    hand = "figure => [...figure.querySelectorAll('path.query, path.key')].map(path => path.getAttribute('d'))"
    before, drawn = numbers.all_text_contents(), figure.evaluate(hand)
    figure.get_by_label("Move both tokens by").press("End")
    assert numbers.all_text_contents() == before
    turned = figure.evaluate(hand)
    assert len(turned) == 16 and all(old != new for old, new in zip(drawn, turned, strict=True))
    x, y = (float(part) for part in turned[-1].split("L")[1].split())  # the slow query of the last row
    assert math.atan2(-y, x) == pytest.approx(math.remainder(hands(DATA, 60, 5)[0][-1][0], math.tau), abs=0.05)
    assert "Both tokens moved by 60" in figure.locator(".glm-read").text_content()
    scores = (signed(hands(DATA, 60, distance)[2]) for distance in (2, 5))
    assert figure.locator(".glm-score-now").all_text_contents() == [
        f"Distance {distance}: key at 60, query at {60 + distance}, score {score}"
        for distance, score in zip((2, 5), scores, strict=True)
    ]


def test_the_widget_draws_with_another_base():
    query, key = torch.ones(2, 4, 2)
    box = explore_rotary(query, key)
    assert box.figure.data["frequencies"] == [1, 0.1, 0.01, 0.001]
    box.controls["base"].value = 100.0
    box.controls["distance"].value = 9
    assert box.figure.data["frequencies"] == pytest.approx([1, 0.3162, 0.1, 0.03162])
    assert (box.figure.data["distances"], box.figure.data["rest"]) == ([9], None)
