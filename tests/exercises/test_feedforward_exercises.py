"""The exercises of chapter 3: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu import ModelConfig, Transformer
from glm_edu.exercises import feedforward
from glm_edu.exercises.feedforward import (
    FEEDFORWARDS,
    PARTS,
    WIDTHS,
    check_feedforward,
    check_parts,
    check_width,
    fused_feedforward,
    parts_of_units,
)

RIGHT = [right for right, _ in WIDTHS.values()]


def by_numbers(x, fused, down):
    f = len(fused) // 2
    result = torch.zeros_like(x)
    for unit in range(f):
        a, b = x @ fused[unit], x @ fused[f + unit]  # b s
        result += (a / (1 + torch.exp(-a)) * b)[..., None] * down[:, unit]
    return result.float()


def by_index(fused, ranks):
    f = len(fused) // 2
    each = f // ranks
    rows = [[half + rank * each + i for half in (0, f) for i in range(each)] for rank in range(ranks)]
    return fused[torch.tensor(rows)]


def test_solutions_pass() -> None:
    assert_kind(check_width(*RIGHT), "right")
    assert_kind(check_feedforward(by_numbers), "right")
    assert_kind(check_parts(by_index), "right")


def test_the_right_width_is_the_largest_that_costs_no_more() -> None:
    h = 5120
    assert 3 * h * RIGHT[0] <= 2 * h * 4 * h < 3 * h * (RIGHT[0] + 1)
    assert RIGHT[1] == 2 * RIGHT[0]


def test_the_right_feed_forward_is_that_of_the_network() -> None:
    torch.manual_seed(3)
    module = Transformer(ModelConfig.preset("tiny-chatglm2")).blocks[0].feedforward
    x, fused = torch.randn(2, 5, 64), torch.cat([module.gate.weight, module.up.weight])
    torch.testing.assert_close(fused_feedforward(x, fused, module.down.weight), module(x))


def test_parts_add_up_to_the_whole() -> None:
    torch.manual_seed(3)
    x, fused, down = torch.randn(1, 4, 6).double(), torch.randn(24, 6).double(), torch.randn(6, 12).double()
    parts = zip(parts_of_units(fused, 3), down.chunk(3, dim=1), strict=True)
    added = sum(fused_feedforward(x, part, columns) for part, columns in parts)
    torch.testing.assert_close(added, fused_feedforward(x, fused, down))


@pytest.mark.parametrize("which", [0, 1])
def test_each_wrong_count_is_named(which: int) -> None:
    for slip in list(WIDTHS.values())[which][1]:
        answers = list(RIGHT)
        answers[which] = slip.wrong
        assert_kind(check_width(*answers), slip.kind)
    answers = list(RIGHT)
    answers[which] = 7
    assert_kind(check_width(*answers), "another number")
    answers[which] = ...
    assert_kind(check_width(*answers), "not written yet")


@pytest.mark.parametrize("check, slips", [(check_feedforward, FEEDFORWARDS), (check_parts, PARTS)])
def test_each_wrong_function_is_named_and_stubs_are_told(check, slips) -> None:
    for slip in slips:
        assert_kind(check(slip.wrong), slip.kind)
    for stub in STUBS:
        assert_kind(check(stub), "not written yet")


def test_mistakes_are_told_apart() -> None:
    assert_told_apart(FEEDFORWARDS, feedforward._feedforward_tries())
    assert_told_apart(PARTS, feedforward._parts_tries())


def test_an_unknown_mistake_is_told_by_its_place() -> None:
    verdict = check_feedforward(lambda x, fused, down: 2 * by_numbers(x, fused, down))
    assert_kind(verdict, "another mistake")
    assert verdict.hint.startswith("text 0, token 0: element 0 is ")
    verdict = check_parts(lambda fused, ranks: by_index(fused, ranks).flip(1))
    assert_kind(verdict, "another mistake")
    assert verdict.hint == "with 2 ranks, row 0 of rank 0 is another row of the whole matrix."
