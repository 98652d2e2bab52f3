"""The tables of the evaluation: every row is there, and the words that judge turn when the numbers do."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from glm_edu.page.measured import (
    COLUMNS,
    ablation_table,
    accuracy_table,
    generations_table,
    nats_table,
    rows_table,
    target_rows,
)
from glm_edu.training.baselines import BOTH
from glm_edu.training.results import load


@pytest.fixture
def evaluation() -> dict[str, Any]:
    return copy.deepcopy(load("evaluation"))


@pytest.fixture
def ablation() -> dict[str, Any]:
    return copy.deepcopy(load("ablation"))


@pytest.mark.parametrize("made", [rows_table, nats_table, accuracy_table])
def test_every_row_of_the_evaluation_is_in_the_table(made, evaluation) -> None:
    html = made(evaluation).html
    assert html.count('scope="row"') == len(evaluation["rows"])
    assert all(f'<th scope="row">{row}</th>' in html for row in evaluation["rows"])


@pytest.mark.parametrize(
    "interval, words",
    [([0.3, 0.2, 0.4], "a line 0.30 ahead"), ([-0.3, -0.4, -0.2], "a line 0.30 behind"),
     ([0.1, -0.1, 0.3], "a line not to be told apart, +0.10 (−0.10\xa0to\xa0+0.30)")],
)  # fmt: skip
def test_the_caption_says_who_is_ahead(interval, words, evaluation) -> None:
    evaluation["ahead"][BOTH]["a line"]["cross-entropy"] = interval
    assert words in nats_table(evaluation).summary


def test_targets_turn_when_the_figures_do(evaluation) -> None:
    assert "met, a line: cross-entropy" in target_rows(evaluation).summary
    evaluation["ahead"][BOTH]["a line"]["cross-entropy"] = [0.39, 0.3, 0.5]
    assert "not met, a line: cross-entropy 0.4 nats below every n-gram, +0.39" in target_rows(evaluation).summary


def test_a_choice_that_does_not_help_is_said_not_to(ablation) -> None:
    for task, interval in {"1 character": [1, 0.5, 2], "2 characters": [-1, -2, -0.5], "a line": [0, -1, 1],
                           "continuation": [0.1, -1, 1]}.items():  # fmt: skip
        ablation["ahead"]["causal"][task]["cross-entropy"] = interval
    words = "The prefix mask: ahead for 1 character; behind for 2 characters; not to be told apart for a line and "
    assert words + "continuation." in ablation_table(ablation).summary
    assert f"after {ablation['steps']:,} steps" in ablation_table(ablation).summary


def test_the_two_generations_are_compared_on_every_task(evaluation) -> None:
    assert generations_table(evaluation).html.count('scope="row"') == len(COLUMNS)
