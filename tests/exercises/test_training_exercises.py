"""The exercises of chapter 12: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import math

import pytest
import torch
import torch.nn.functional as F
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu.exercises import training
from glm_edu.exercises.training import check_first_loss, check_loss, check_rate

# ---- 1. the first loss ----


def test_the_first_loss_is_that_of_equal_chances():
    chances = torch.zeros(1, 2, training.VOCABULARY)
    assert check_first_loss(round(F.cross_entropy(chances[:, 0], torch.tensor([5])).item())).kind == "right"
    assert sum(check_first_loss(n).ok for n in range(3100)) == 1
    assert check_first_loss(8.0).ok and check_first_loss(math.log(training.VOCABULARY)).ok


@pytest.mark.parametrize(
    "answer, kind",
    [(12, "in bits"), (3, "in powers of ten"), (3008, "the number of tokens"), (0, "as if it knew"),
     (1, "the probability"), (7, "another number"), (7.5, "not a whole number"), (..., "not written yet")],
)  # fmt: skip
def test_a_wrong_first_loss_gets_the_hint_of_its_kind(answer, kind):
    verdict = check_first_loss(answer)
    assert (verdict.ok, verdict.kind) == (False, kind)
    assert "grid" not in verdict.hint


# ---- 2. the learning rate, written as a learner would ----


def in_one_go(step, steps, warmup, peak):
    if step < warmup:
        return peak / warmup * (step + 1)
    turn = math.pi * (step - warmup) / (steps - warmup - 1)
    return peak * (0.505 + 0.495 * math.cos(turn))


def with_tensors(step, steps, warmup, peak):
    return torch.tensor(in_one_go(step, steps, warmup, peak))


@pytest.mark.parametrize("solution", [in_one_go, with_tensors])
def test_a_right_rate_passes(solution):
    assert_kind(check_rate(solution), "right")


def cosine(part):
    return (1 + math.cos(math.pi * part)) / 2


def part_of(step, steps, warmup):
    return (step - warmup) / (steps - 1 - warmup)


WRONG_RATES = {
    "no peak": lambda s, n, w, peak: in_one_go(s, n, w, 1.0),
    "no warm-up": lambda s, n, w, peak: peak * (0.01 + 0.99 * cosine(max(0, part_of(s, n, w)))),
    "the first step does nothing": lambda s, n, w, peak: peak * s / w if s < w else in_one_go(s, n, w, peak),
    "down to nothing": lambda s, n, w, peak: in_one_go(s, n, w, peak) if s < w else peak * cosine(part_of(s, n, w)),
    "a straight line down": lambda s, n, w, peak: (
        in_one_go(s, n, w, peak) if s < w else peak * (1 - 0.99 * part_of(s, n, w))
    ),
    "a whole cosine": lambda s, n, w, peak: (
        in_one_go(s, n, w, peak) if s < w else peak * (0.01 + 0.99 * cosine(2 * part_of(s, n, w)))
    ),
    "the cosine starts too early": lambda s, n, w, peak: (
        in_one_go(s, n, w, peak) if s < w else peak * (0.01 + 0.99 * cosine(s / (n - 1)))
    ),
    "it does not arrive": lambda s, n, w, peak: (
        in_one_go(s, n, w, peak) if s < w else peak * (0.01 + 0.99 * cosine((s - w) / (n - w)))
    ),
    "it stays up": lambda s, n, w, peak: in_one_go(s, n, w, peak) if s < w else peak,
    "another mistake": lambda s, n, w, peak: in_one_go(s, n, w, peak) * (1 + (s == 11)),
}


@pytest.mark.parametrize("kind", WRONG_RATES)
def test_a_wrong_rate_gets_the_hint_of_its_kind(kind):
    assert_kind(check_rate(WRONG_RATES[kind]), kind)


def test_an_unknown_rate_is_told_by_the_first_step_that_differs():
    hint = check_rate(WRONG_RATES["another mistake"]).hint
    assert hint.startswith("of 50 steps with a warm-up of 10 and a peak of 1, your step 11 has 1.99")


# ---- 3. the loss ----


def with_log_softmax(logits, labels):
    chances = logits.log_softmax(-1)[:, :-1]
    wanted = labels[:, 1:]
    counts = wanted != -100
    picked = chances.gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
    return -(picked * counts).sum() / counts.sum()


def as_handed_over(logits, labels):  # what the chapter asks you to mend
    labels = F.pad(labels[:, 1:], (0, 1), value=-100)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)


def test_a_right_loss_passes():
    assert_kind(check_loss(with_log_softmax), "right")


def test_the_code_as_handed_over_is_told_to_be_unchanged():
    verdict = check_loss(as_handed_over)
    assert verdict.kind == "not written yet" and verdict.hint.startswith("unchanged"), verdict


def flat(logits, labels, **how):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), **how)


WRONG_LOSSES = {
    "not shifted": lambda x, y: flat(x, y),
    "the wrong way": lambda x, y: flat(x[:, 1:], y[:, :-1]),
    "averaged over -100 too": lambda x, y: flat(x[:, :-1], y[:, 1:], reduction="none").mean(),
    "a sum": lambda x, y: flat(x[:, :-1], y[:, 1:], reduction="sum"),
    "a mean of means": lambda x, y: sum(with_log_softmax(x[i, None], y[i, None]) for i in range(len(x))) / len(x),
    "-100 as a token": lambda x, y: flat(x[:, :-1], y[:, 1:].clamp(min=0)),
    "the sign": lambda x, y: -with_log_softmax(x, y),
    "in bits": lambda x, y: with_log_softmax(x, y) / math.log(2),
    "another mistake": lambda x, y: with_log_softmax(x, y) + 0.1,
}


@pytest.mark.parametrize("kind", WRONG_LOSSES)
def test_a_wrong_loss_gets_the_hint_of_its_kind(kind):
    assert_kind(check_loss(WRONG_LOSSES[kind]), kind)


@pytest.mark.parametrize("check", [check_rate, check_loss])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


@pytest.mark.parametrize(
    "slips, tries", [(training.RATES, training.SCHEDULES), (training.LOSSES, training.BATCHES)], ids=["rates", "losses"]
)
def test_no_two_mistakes_look_alike_on_the_inputs(slips, tries):
    assert_told_apart(slips, tries)
