"""The exercises of chapter 7: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu.exercises import clocks
from glm_edu.exercises.clocks import check_next_ids, check_step, check_turn
from glm_edu.model.rotary import rotate_half
from glm_edu.parity import Case

# ---- what a learner may hand in ----


def turn_by_halves(x, ids, turns):
    parts = []
    for part, clock in zip(x.chunk(2, dim=-1), ids, strict=True):
        angle = (clock[:, None] * turns).repeat(1, 2)
        parts.append(part * angle.cos() + rotate_half(part) * angle.sin())
    return torch.cat(parts, dim=-1)


def turn_as_complex_numbers(x, ids, turns):
    q = turns.shape[0]
    out = torch.empty_like(x)
    for c in (0, 1):
        first, second = x[:, 2 * c * q : (2 * c + 1) * q], x[:, (2 * c + 1) * q : (2 * c + 2) * q]
        z = torch.complex(first, second) * torch.polar(torch.ones(()), ids[c][:, None] * turns)
        out[:, 2 * c * q : (2 * c + 2) * q] = torch.cat([z.real, z.imag], -1)
    return out


def mended(ids, mask, gmask, bos):
    position = ids.index(gmask) if gmask in ids else ids.index(mask)
    return torch.tensor([position, len(ids) - ids.index(bos)])


def handed_over(ids, mask, gmask, bos):
    context = ids.index(bos)
    return torch.tensor([context - 1, len(ids) - context])


def test_right_answers_pass():
    assert_kind(check_step(6, 4), "right")
    for solution in (turn_by_halves, turn_as_complex_numbers):
        assert_kind(check_turn(solution), "right")
    assert_kind(check_next_ids(mended), "right")


def test_the_ids_asked_for_are_those_of_the_official_cached_steps():
    case = Case("chatglm1_decode")
    config = clocks.CONFIG
    assert (config.mask_id, config.gmask_id, config.bos_id) == clocks.MARKS
    row = case.runs[0].inputs["input_ids"][0].tolist()
    steps = 0
    for run in case.runs[1:]:
        if run.continues is None or run.inputs["input_ids"].shape != (1, 1):
            continue
        row += run.inputs["input_ids"][0].tolist()
        assert clocks.next_ids(row, *clocks.MARKS).tolist() == run.inputs["position_ids"][0, :, 0].tolist()
        steps += 1
    assert steps >= 2


@pytest.mark.parametrize("check", [check_turn, check_next_ids])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


def test_unanswered_ids_are_not_written_yet():
    assert check_step(..., 4).kind == check_step(6, None).kind == "not written yet"


@pytest.mark.parametrize(
    ("position", "block", "kind"),
    [(10, 4, "the first clock counts on"), (7, 4, "the place of <sop>"), (6, 3, "<sop> is not counted"),
     (6, 5, "one too far"), (4, 6, "the second clock"), (9, 4, "another number")],
)  # fmt: skip
def test_wrong_ids_are_told_by_kind(position, block, kind):
    assert_kind(check_step(position, block), kind)


def test_the_code_as_handed_over_is_not_written_yet():
    assert_kind(check_next_ids(handed_over), "not written yet")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda x, c, t: turn_by_halves(x, c.flip(0), t), "the clocks are swapped"),
        (lambda x, c, t: turn_by_halves(x, c[:1].expand(2, -1), t), "position turns both halves"),
        (lambda x, c, t: turn_by_halves(x, c, -t), "the other way round"),
        (lambda x, c, t: x + 1, "another mistake"),
    ],
)
def test_wrong_turns_are_told_by_kind(answer, kind):
    assert_kind(check_turn(answer), kind)


def test_the_place_of_an_unknown_mistake_is_named():
    hint = check_turn(lambda x, c, t: turn_by_halves(x, c, t) + 1.0).hint
    assert hint.startswith("token 0 at position 0, block 0: element 0, in the first half of 8,")
    hint = check_next_ids(lambda *given: mended(*given) * 2).hint
    assert hint == "for x x x [gMASK] bos x the position is 6 and should be 3."


def test_known_mistakes_are_told_apart():
    assert_told_apart(clocks.TURNS, clocks.HEADS)
    assert_told_apart(clocks.NEXT, clocks.ROWS)
    for slips, check in ((clocks.TURNS, check_turn), (clocks.NEXT, check_next_ids)):
        for slip in slips:
            assert_kind(check(slip.wrong), slip.kind)
