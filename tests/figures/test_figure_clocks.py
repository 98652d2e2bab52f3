"""The clock plane puts each token where its two ids say, with a script and without."""

import pytest
import torch
from gallery import Markup, planes
from live_page import Visit, in_browser_thread

from glm_edu.errors import GLMError
from glm_edu.figures import Clocked, clock_plane

TEXTS = "(f, which) => [...f.querySelectorAll(which)].map(r => [...r.cells].slice(1).map(c => c.textContent))"


def place(frame: dict, columns: int, rows: int) -> list[list[str]]:
    """What a plane should hold: one token a cell, or how many there are; the highest block on top."""
    plane = [[""] * columns for _ in range(rows)]
    blocks = frame["positions"][1] if len(frame["positions"]) == 2 else [0] * len(frame["tokens"])
    for token, position, block in zip(frame["tokens"], frame["positions"][0], blocks, strict=True):
        here = plane[rows - 1 - block][position]
        plane[rows - 1 - block][position] = f"{int(here[0]) + 1}×" if "×" in here else "2×" if here else token
    return plane


def test_the_picture_holds_the_chosen_sequence():
    figure = planes()
    shown = figure.data["ways"]["tower"][1]
    assert shown["positions"] == [[0, 1, 2, 2, 2], [0, 0, 0, 1, 2]]
    assert shown["parts"] == ["context", "context", "mark", "answer", "answer"]
    cells = Markup(figure.picture).text["span"]
    assert cells[:5] == ["2", "c", "1", "<sop>", "0"], "rows from the top, each after its heading"
    assert figure.alt == "tower, a b [M] <sop> c: position 0 1 2 2 2, block 0 0 0 1 2."


@in_browser_thread
def test_controls_place_every_token_of_every_sequence(visit: Visit):
    figure, data = visit.figure("planes"), planes().data
    said = set()
    for name, sequences in data["ways"].items():
        figure.get_by_role("radio", name=name).check()
        for at, frame in enumerate(sequences):
            figure.get_by_label("Tokens before the mask").fill(str(at))
            assert figure.evaluate(TEXTS, ".glm-plane tbody tr:not(.position)") == place(
                frame, data["columns"], data["rows"]
            ), (name, at)
            ids = [[str(i) for i in clock] for clock in frame["positions"]]
            ids += [[""] * len(frame["tokens"])] * (2 - len(ids))  # one clock has one row
            assert figure.evaluate(TEXTS, ".glm-ids tr") == [frame["tokens"], *ids]
            assert figure.locator(".glm-ids .mark").text_content() == "[M]"
            said.add(figure.locator(".glm-read").text_content())
    assert "The whole answer stands at position 0, the place of [M]." in said
    assert "The answer stands at positions 3, 4; [M] stands at 2." in said
    assert "All 2 tokens of the answer stand at one place." in said


@in_browser_thread
def test_what_has_one_choice_has_no_control_for_it(visit: Visit):
    figure = visit.figure("towers")
    assert figure.locator("input").evaluate_all("inputs => inputs.map(input => input.type)") == ["range"]
    figure.get_by_label("Tokens before the mask").fill("1")
    assert figure.evaluate(TEXTS, ".glm-ids tr") == [["a", "b", "[M]", "<sop>", "c"], [*"01222"], [*"00012"]]


def test_one_clock_has_one_row_of_ids_and_lies_on_the_ground():
    data = planes().data["ways"]
    figure = clock_plane({name: [Clocked(list("ab"), torch.tensor([[0, 1]]), 1, 0)] for name in "xy"}, chosen="y")
    assert data["heap"][0]["positions"] == [[0, 1, 2, 0, 0]]
    assert figure.data["rows"] == 1
    assert figure.alt == "y, a b: position 0 1."
    assert '<tr class="block"><th scope="row"><span>block</span></th><td></td><td></td></tr>' in figure.picture


def test_what_does_not_fit_is_refused():
    fits = Clocked(list("ab"), torch.tensor([[0, 1]]), context=1, mark=0)
    short = Clocked(list("a"), torch.tensor([[0, 1]]), context=1, mark=0)
    deep = Clocked(list("ab"), torch.zeros(3, 2, dtype=torch.long), context=1, mark=0)
    with pytest.raises(GLMError, match="tokens has 1 entries"):
        clock_plane({"x": [fits], "y": [short]}, chosen="x")
    with pytest.raises(GLMError, match="has 3 rows; there are one or two clocks"):
        clock_plane({"x": [fits], "y": [deep]}, chosen="x")
    with pytest.raises(GLMError, match=r"\[1, 2\] sequences"):
        clock_plane({"x": [fits], "y": [fits, fits]}, chosen="x")
    for context, mark, ids in ((1, 1, [0, 1]), (1, -1, [0, 1]), (2, 0, [0, 1]), (1, 0, [-1, 0])):
        with pytest.raises(GLMError, match="the mark stands in the context"):
            clock_plane({"x": [Clocked(list("ab"), torch.tensor([ids]), context, mark)]}, chosen="x")
    with pytest.raises(GLMError, match="of 0 tokens"):
        clock_plane({"x": [Clocked([], torch.zeros(1, 0, dtype=torch.long), 0, 0)]}, chosen="x")
    with pytest.raises(GLMError, match="chosen is 'z'"):
        clock_plane({"x": [fits], "y": [fits]}, chosen="z")
