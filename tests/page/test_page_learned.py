"""What the appendix says of the stored results: the numbers stand there, and the words follow from them.

Tried mutations, each of which fails here: the verdict looks at the change and not at its interval; the control is left
out of it; copies are compared with the wrong end of the yardstick's interval; the head is named head first.
"""

from __future__ import annotations

import copy

import pytest

from glm_edu.page.learned import (
    LESS,
    MORE,
    NOT,
    SOME,
    copies_table,
    effect_table,
    form_table,
    kinds_table,
    mass_map,
    quality_rows,
    rhyme_table,
    search_table,
    verdict,
)
from glm_edu.training.behaviours import BEHAVIOURS
from glm_edu.training.results import load


@pytest.fixture
def quality() -> dict:
    return copy.deepcopy(load("quality"))


@pytest.fixture
def heads() -> dict:
    return copy.deepcopy(load("heads"))


@pytest.mark.parametrize(
    ("change", "control", "word"),
    [
        ((0.3, 0.5), (0.1, 0.2), MORE),
        ((0.15, 0.5), (0.1, 0.2), SOME),
        ((-0.1, 0.5), (-0.3, -0.2), NOT),
        ((-0.3, -0.1), (-0.5, -0.4), LESS),
        ((0.01, 0.02), (-0.5, -0.4), MORE),
    ],
)
def test_the_verdict_follows_from_both_intervals(change: tuple, control: tuple, word: str) -> None:
    assert verdict({"change interval": change, "control interval": control}) == word


def test_form_and_targets_are_told_as_they_are(quality: dict) -> None:
    quality["form"]["both"] |= {"all of it": 0.961, "interval": [0.94, 0.98], "quatrains": 0.7}
    quality["rhyme"]["generated"] |= {"ratio": 1.9}
    said = form_table(quality).summary
    assert "96.1% (94.0%\xa0to\xa098.0%)" in said and "70.0% are quatrains" in said
    rows = quality_rows(quality).summary
    assert rows.startswith("met, right form in 95% of the poems, 96.1%; not met, rhyme 2 times")


def test_rhyme_is_told_beside_its_control_and_the_real_poems(quality: dict) -> None:
    quality["rhyme"]["generated"] |= {"rate": 0.4, "control": 0.1, "ratio": 4.0, "ratio interval": [3.0, 5.0]}
    quality["rhyme"]["real"]["rate"] = 0.8
    said = rhyme_table(quality).summary
    assert "come to 50% of the real ones" in said and "4.0 (3.0\xa0to\xa05.0)" in said


@pytest.mark.parametrize(
    ("ours", "often"),
    [([0.3, 0.4], "more often than"), ([0.0, 0.1], "less often than"), ([0.1, 0.4], "about as often as")],
)  # fmt: skip
def test_copies_are_compared_by_their_intervals(quality: dict, ours: list[float], often: str) -> None:
    quality["copies"]["generated"]["interval"], quality["copies"]["real"]["interval"] = ours, [0.15, 0.25]
    assert f"in a training poem {often} real ones" in copies_table(quality).summary


def test_every_kind_has_its_rows(heads: dict) -> None:
    tables = kinds_table(), search_table(heads), effect_table(heads)
    for kind in BEHAVIOURS:
        assert all(f"; {kind}" in said.summary or f" {kind}" in said.summary for said in tables)
    heads["kinds"]["mask token"] |= {"best": [3, 1], "change": -0.004, "change interval": [-0.123, 0.1]}
    assert "mask token: 3.1" in effect_table(heads).summary
    assert "0.00 (−0.12\xa0to\xa0+0.10)" in effect_table(heads).summary
    assert NOT in effect_table(heads).summary and "rank of 16" in effect_table(heads).html
    del heads["changes"]["blank"][-1]
    assert "rank of 12" in effect_table(heads).html
    assert "<sop>" not in search_table(heads).html and "&lt;sop&gt;" in search_table(heads).html


def test_the_map_has_a_row_a_kind_and_a_column_a_head(heads: dict) -> None:
    heads["kinds"]["rhyme, Part B"]["masses"][3][1] = 0.991
    drawn = mass_map(heads).data["tables"]["mass"]
    assert len(drawn["rows"]) == len(BEHAVIOURS) and len(drawn["columns"]) == 16
    assert drawn["text"][drawn["rows"].index("rhyme\xa0B")][drawn["columns"].index("3.1")] == "99"
    assert all(len(row) <= 11 for row in drawn["rows"])  # more would be cut off


def test_the_number_of_strong_kinds_is_counted(heads: dict) -> None:
    for number, entry in enumerate(heads["kinds"].values()):
        entry["mass"] = 0.5 if number < 3 else 0.49
    assert f"in 3 of {len(BEHAVIOURS)} kinds" in mass_map(heads).caption
