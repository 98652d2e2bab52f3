"""The exercises of chapter 15: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu.exercises import quantization
from glm_edu.exercises.quantization import (
    SIZES,
    THERE_AND_BACK,
    UNPACKINGS,
    check_bytes,
    check_there_and_back,
    check_unpack,
)
from glm_edu.quantization import QuantizedLinear, pack_int4

RIGHT = [right for right, _ in SIZES.values()]


def by_rows(weight, bits):
    rows = []
    for row in weight.tolist():
        step = max(map(abs, row)) / (127 if bits == 8 else 7)
        rows.append([round(value / step) * step for value in row])  # Python rounds halves to even, too
    return torch.tensor(rows)


def by_table(packed):
    def signed(half):
        return half - 16 if half > 7 else half

    bytes_ = [[value & 255 for value in row] for row in packed.tolist()]
    return torch.tensor([[signed(half) for byte in row for half in divmod(byte, 16)] for row in bytes_])


def test_solutions_pass() -> None:
    assert_kind(check_bytes(*RIGHT), "right")
    for solution in (by_rows, quantization.my_there_and_back):
        assert_kind(check_there_and_back(solution), "right")
    assert_kind(check_unpack(by_table), "right")


@pytest.mark.parametrize("bits, right", [*zip((8, 4), RIGHT, strict=True)])
def test_the_right_bytes_are_those_of_a_layer(bits: int, right: int) -> None:
    linear = torch.nn.Linear(quantization.INPUTS, quantization.OUTPUTS, bias=False, device="meta").half()
    assert sum(tensor.nbytes for tensor in QuantizedLinear(linear, bits).state_dict().values()) == right


@pytest.mark.parametrize("which", [0, 1])
def test_each_wrong_count_is_named(which: int) -> None:
    for slip in list(SIZES.values())[which][1]:
        answers = list(RIGHT)
        answers[which] = slip.wrong
        assert_kind(check_bytes(*answers), slip.kind)
    assert_kind(check_bytes(..., RIGHT[1]), "not written yet")


@pytest.mark.parametrize("check, slips", [(check_there_and_back, THERE_AND_BACK), (check_unpack, UNPACKINGS)])
def test_each_wrong_function_is_named_and_stubs_are_told(check, slips) -> None:
    for slip in slips:
        assert_kind(check(slip.wrong), slip.kind)
    for stub in STUBS:
        assert_kind(check(stub), "not written yet")


def test_mistakes_are_told_apart() -> None:
    weight = quantization._weight()
    assert_told_apart(THERE_AND_BACK, [(weight, 8), (weight, 4)])
    pairs = torch.cartesian_prod(*[torch.arange(-8, 8, dtype=torch.int8)] * 2)
    assert_told_apart(UNPACKINGS, [(pack_int4(pairs),), (pack_int4(pairs.view(64, 8)),)])


def test_an_unknown_mistake_is_told_by_its_place() -> None:
    verdict = check_unpack(lambda packed: by_table(packed) * (1 - (by_table(packed) == 5).int()))
    assert_kind(verdict, "another mistake")
    assert "column" in verdict.hint and "it should be 5" in verdict.hint
    verdict = check_there_and_back(lambda weight, bits: by_rows(weight, bits) * 1.01)
    assert_kind(verdict, "another mistake")
    assert "int8, row 0" in verdict.hint
