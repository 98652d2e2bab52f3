"""The exercises of chapter 4: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
import torch.nn.functional as F
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu.exercises import norms
from glm_edu.exercises.norms import LAYERS, RMS, SIZES, check_layer_norm, check_rms_norm, check_sizes

RIGHT = [right for right, _ in SIZES.values()]


def by_division(x, weight, eps):
    wide = x.float()
    size = ((wide * wide).sum(-1, keepdim=True) / x.shape[-1] + eps) ** 0.5
    return (weight.float() * (wide / size)).half()


def by_square(x, weight, bias, eps):
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    return weight * (x - mean) / torch.sqrt(variance + eps) + bias


def test_solutions_pass() -> None:
    assert_kind(check_sizes(*RIGHT), "right")
    assert_kind(check_sizes(*map(float, RIGHT)), "right")
    assert "compute again" in check_sizes(17, *RIGHT[1:]).hint
    assert_kind(check_rms_norm(by_division), "right")
    assert_kind(check_layer_norm(by_square), "right")


def test_the_right_sizes_are_what_the_norms_make() -> None:
    flat, spike = torch.full((4096,), 3.0), torch.zeros(4096)
    spike[7] = 100
    made = F.rms_norm(flat, (4096,))[0], F.layer_norm(flat, (4096,))[0], F.rms_norm(spike, (4096,))[7]
    assert [round(float(number), 3) for number in made] == RIGHT


@pytest.mark.parametrize("which", range(3))
def test_each_wrong_size_is_named(which: int) -> None:
    for slip in list(SIZES.values())[which][1]:
        answers = list(RIGHT)
        answers[which] = slip.wrong
        assert_kind(check_sizes(*answers), slip.kind)
    for answer, kind in ((17, "another number"), (..., "not written yet")):
        answers = list(RIGHT)
        answers[which] = answer
        assert_kind(check_sizes(*answers), kind)


@pytest.mark.parametrize("check, slips", [(check_rms_norm, RMS), (check_layer_norm, LAYERS)])
def test_each_wrong_norm_is_named_and_stubs_are_told(check, slips) -> None:
    for slip in slips:
        assert_kind(check(slip.wrong), slip.kind)
    for stub in STUBS:
        assert_kind(check(stub), "not written yet")


@pytest.mark.parametrize("root", [torch.sqrt, lambda square: square**0.5, lambda square: 1 / torch.rsqrt(square)])
def test_squares_in_half_are_named_however_they_are_written(root) -> None:
    def in_half(x, weight, eps):
        return x / root((x * x).mean(-1, keepdim=True) + eps) * weight

    assert_kind(check_rms_norm(in_half), "squares in half")
    assert_kind(check_rms_norm(lambda x, weight, eps: 0 * x), "another mistake")


def test_norm_mistakes_are_told_apart() -> None:
    assert_told_apart(RMS, norms._rms_tries())
    assert_told_apart(LAYERS, norms._layer_tries())


def test_an_unknown_mistake_is_told_by_its_place() -> None:
    verdict = check_rms_norm(lambda x, weight, eps: 2 * by_division(x, weight, eps))
    assert_kind(verdict, "another mistake")
    assert verdict.hint.startswith("element [0, 0, 0] is ")
