"""The exercises of chapter 6: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu.exercises import rotary
from glm_edu.exercises.rotary import check_counts, check_rows, check_turn

# ---- solutions written in other ways than the package's ----


def turn_as_complex_numbers(x, positions, base):
    d = x.shape[-1]
    angles = positions[:, None] * base ** (-2 * torch.arange(d // 2).double() / d)
    turned = torch.complex(*x.double().chunk(2, -1)) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([turned.real, turned.imag], -1).float()


def rows_by_index(weight, heads, rotary_dim):
    d = len(weight) // heads
    order = [*range(0, rotary_dim, 2), *range(1, rotary_dim, 2), *range(rotary_dim, d)]
    return weight[[head * d + row for head in range(heads) for row in order]]


def rows_as_handed_over(weight, heads, rotary_dim):
    rows = weight.unflatten(0, (heads, -1))
    return torch.cat([rows[:, 0::2], rows[:, 1::2]], dim=1).flatten(0, 1)


def test_right_answers_pass():
    assert_kind(check_counts(32, 32, 64, 64), "right")
    assert_kind(check_turn(turn_as_complex_numbers), "right")
    assert_kind(check_rows(rows_by_index), "right")


@pytest.mark.parametrize("check", [check_turn, check_rows])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


def test_the_code_as_handed_over_is_known():
    verdict = check_rows(rows_as_handed_over)
    assert_kind(verdict, "not written yet")
    assert "as handed over" in verdict.hint


@pytest.mark.parametrize(
    "counts, kind",
    [
        ((..., 32, 64, 64), "not written yet"), ((64, 32, 64, 64), "the pairs of both clocks"),
        ((32, 64, 64, 64), "the whole head"), ((32, 32, 32, 64), "half of the head"),
        ((32, 32, 128, 64), "numbers, not pairs"), ((32, 32, 64, 0), "nothing"),
        ((32, 32, 64, 32), "pairs, not numbers"),
    ],
)  # fmt: skip
def test_a_wrong_count_gets_the_hint_of_its_kind(counts, kind):
    assert_kind(check_counts(*counts), kind)


# ---- wrong answers, written as a learner would write them ----


def learner_turn(x, positions, base, *, exponent=-2.0, minus=(-1, 1), repeat=False, pairs=False):
    d = x.shape[-1]
    angles = positions[:, None] * base ** (exponent * torch.arange(d // 2) / d)
    both = angles.repeat_interleave(2, -1) if repeat else torch.cat([angles, angles], -1)
    if pairs:
        quarter = torch.stack([minus[0] * x[:, 1::2], minus[1] * x[:, 0::2]], -1).flatten(-2)
    else:
        quarter = torch.cat([minus[0] * x[:, d // 2 :], minus[1] * x[:, : d // 2]], -1)
    return x * both.cos() + quarter * both.sin()


WRONG_TURNS = {
    "turned the other way": {"minus": (1, -1)}, "neighbours are paired": {"pairs": True, "repeat": True},
    "angles laid out for neighbours": {"repeat": True}, "the minus is missing": {"minus": (1, 1)},
    "the exponent falls half as fast": {"exponent": -1}, "the exponent falls twice as fast": {"exponent": -4},
    "the exponent has lost its minus": {"exponent": 2}, "one frequency for all": {"exponent": 0},
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_TURNS)
def test_a_wrong_turn_gets_the_hint_of_its_kind(kind):
    assert_kind(check_turn(lambda x, positions, base: learner_turn(x, positions, base, **WRONG_TURNS[kind])), kind)


def test_an_index_in_place_of_the_position_is_noticed():
    answer = check_turn(lambda x, positions, base: learner_turn(x, torch.arange(len(x)), base))
    assert_kind(answer, "the position is ignored")


def test_an_unknown_mistake_is_shown_where_it_is():
    verdict = check_turn(lambda x, positions, base: learner_turn(x, positions, base) + (positions[:, None] == 4))
    assert_kind(verdict, "another mistake")
    assert verdict.hint.startswith("at position 4, number 0 of 8 is")
    verdict = check_rows(lambda weight, heads, rotary_dim: rows_by_index(weight, heads, rotary_dim).flip(0))
    assert_kind(verdict, "another mistake")
    assert "row 0 should be row 0 of the weight; yours is row 23" in verdict.hint
    assert "yours is row nan" in check_rows(lambda weight, heads, rotary_dim: weight * float("inf")).hint


@pytest.mark.parametrize(
    "answer, kind",
    [
        (lambda w, heads, r: rows_by_index(w, 1, r), "across the heads"),
        (lambda w, heads, r: rows_by_index(w, 1, len(w)), "the whole weight as one head"),
        (lambda w, heads, r: w, "nothing is reordered"),
    ],
)
def test_wrong_rows_get_the_hint_of_their_kind(answer, kind):
    assert_kind(check_rows(answer), kind)


def test_known_mistakes_are_told_apart():
    assert_told_apart(rotary.TURNS, rotary.TRIES)
    assert_told_apart(rotary.ORDERS, rotary.WEIGHTS)
