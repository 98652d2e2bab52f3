"""The exercises of chapter 12: the first loss, the learning rate of a step, a loss that looks one token too far."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Verdict, judge, judge_number
from glm_edu.loss import IGNORED_LABEL, next_token_loss
from glm_edu.training.loop import learning_rate
from glm_edu.training.settings import VOCABULARY, training_config

Curve = Float[Tensor, " steps"]
Logits = Float[Tensor, "b s v"]
Labels = Int[Tensor, "b s"]


# ---- 1. predict: the loss before anything is learned ----

FIRST = (
    Slip("in bits", "That is the number of yes-or-no questions. The loss is in nats: the natural logarithm.",
         round(math.log2(VOCABULARY))),
    Slip("in powers of ten", "The loss is in nats: the natural logarithm.", round(math.log10(VOCABULARY))),
    Slip("the number of tokens", "The loss is the logarithm of that, when all are equally likely.", VOCABULARY),
    Slip("as if it knew", "A loss of 0 is certainty. With random weights all tokens are about equally likely.", 0),
    Slip("the probability", "A probability is at most 1. What is minus the logarithm of a small one?", 1),
)  # fmt: skip


def check_first_loss(answer: object) -> Verdict:
    """Exercise 1: the loss of a network that takes all tokens for equally likely, to a whole nat or not rounded."""
    if isinstance(answer, float) and abs(answer - math.log(VOCABULARY)) < 0.05:
        answer = round(answer)
    advice = "each of the tokens has about the same probability, and the loss is minus its logarithm"
    return judge_number(answer, round(math.log(VOCABULARY)), FIRST, advice)


# ---- 2. implement: the learning rate of each step ----

SCHEDULES = ((50, 10, 1.0), (320, 40, 2e-3), (12, 1, 0.5), (9, 0, 1.0))  # steps, warm-up, peak


def rates(steps: int, warmup: int, peak: float) -> Curve:
    """The package's learning rate, of every step, in units of its peak: so that a small one is judged as well."""
    config = replace(training_config("live"), steps=steps, warmup_steps=warmup, learning_rate=peak)
    return torch.tensor([learning_rate(config, step) / peak for step in range(steps)])


def _schedule(rate: Callable[[int, int, int], float]) -> Answer:
    """A whole curve from ``rate(step, steps, warmup)``, with peak 1."""
    return lambda steps, warmup, peak: torch.tensor([float(rate(step, steps, warmup)) for step in range(steps)])


def _rise(step: int, warmup: int, first: int = 1) -> float:
    return (step + first) / warmup


def _fall(done: float, least: float = 0.01) -> float:
    return least + (1 - least) * (1 + math.cos(math.pi * done)) / 2


def _done(step: int, steps: int, warmup: int) -> float:
    return (step - warmup) / max(1, steps - 1 - warmup)


def _after_warmup(fall: Callable[[int, int, int], float], first: int = 1) -> Answer:
    """A right warm-up, then ``fall(step, steps, warmup)``."""
    return _schedule(
        lambda step, steps, warmup: _rise(step, warmup, first) if step < warmup else fall(step, steps, warmup)
    )


RATES = (
    Slip("no peak", "The shape is right, but its height is not: multiply by peak.",
         lambda steps, warmup, peak: rates(steps, warmup, peak) / peak),
    Slip("no warm-up", "The first steps should be smaller: a straight line up to the peak.",
         _schedule(lambda step, steps, warmup: _fall(max(0.0, _done(step, steps, warmup))))),
    Slip("the first step does nothing", "At step 0 your rate is 0, so that step is wasted. Count it as the first.",
         _after_warmup(lambda *given: _fall(_done(*given)), first=0)),
    Slip("down to nothing", "The last step should have a hundredth of the peak, not 0.",
         _after_warmup(lambda *given: _fall(_done(*given), least=0.0))),
    Slip("cut off at a hundredth",
         "The last step is right, but the cosine should arrive there by itself: it goes from 1 to 0.01.",
         _after_warmup(lambda *given: max(0.01, _fall(_done(*given), least=0.0)))),
    Slip("a straight line down", "After the warm-up it is half a cosine: slow at first, and slow at the end.",
         _after_warmup(lambda *given: 1 - 0.99 * _done(*given))),
    Slip("a whole cosine", "Your rate comes up again. Half a period is enough: pi, not 2 pi.",
         _after_warmup(lambda *given: _fall(2 * _done(*given)))),
    Slip("the cosine starts too early",
         "Right after the warm-up the rate should be at its peak. Where does the cosine begin?",
         _after_warmup(lambda step, steps, warmup: _fall(step / (steps - 1)))),
    Slip("it does not arrive", "Your last step stands above a hundredth. Which step is the last: steps, or steps - 1?",
         _after_warmup(lambda step, steps, warmup: _fall((step - warmup) / (steps - warmup)))),
    Slip("it stays up", "After the warm-up the rate should come down.", _after_warmup(lambda *given: 1.0)),
)  # fmt: skip


def check_rate(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(step, steps, warmup, peak) -> float``, a straight line up and half a cosine down."""

    def curve(steps: int, warmup: int, peak: float) -> Curve | None:
        values = [answer(step, steps, warmup, peak) for step in range(steps)]
        return None if values[0] is None or values[0] is ... else torch.tensor([float(v) / peak for v in values])

    return judge(curve, rates, SCHEDULES, RATES, _step, close=CLOSE)


def _step(given: tuple[int, int, float], index: tuple[int, ...], got: float, wanted: float) -> str:
    steps, warmup, peak = given
    return (
        f"of {steps} steps with a warm-up of {warmup} and a peak of {peak:g}, your step {index[0]} has "
        f"{got * peak:.4g}; it should have {wanted * peak:.4g}."
    )


# ---- 3. debug: a loss that predicts one token too far ----


def _batch(rows: int, length: int, hidden: int, seed: int) -> tuple[Logits, Labels]:
    """Random logits over 7 tokens; the first ``hidden`` labels of a row, and one more each row, do not count."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(7, (rows, length), generator=draw)
    labels[torch.arange(length) < hidden + torch.arange(rows)[:, None]] = IGNORED_LABEL
    return 3 * torch.randn(rows, length, 7, generator=draw), labels


BATCHES = (_batch(1, 8, 3, seed=1), _batch(3, 12, 5, seed=2), _batch(2, 9, 4, seed=3))


def _shifted(logits: Logits, labels: Labels, by: int, reduction: str = "mean") -> Tensor:
    kept = logits[:, : logits.shape[1] - by].flatten(0, 1)
    return F.cross_entropy(kept, labels[:, by:].flatten(), ignore_index=IGNORED_LABEL, reduction=reduction)


def _row_by_row(logits: Logits, labels: Labels) -> Tensor:
    pairs = zip(logits, labels, strict=True)
    return torch.stack([next_token_loss(row[None], label[None]) for row, label in pairs]).mean()


def _backwards(logits: Logits, labels: Labels) -> Tensor:
    return F.cross_entropy(logits[:, 1:].flatten(0, 1), labels[:, :-1].flatten(), ignore_index=IGNORED_LABEL)


LOSSES = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. It runs and it learns, but what it learns skips a token.",
         lambda logits, labels: _shifted(logits, labels, 2)),
    Slip("not shifted",
         "Each position is held against its own label, which it has read. Whose label should it be?",
         lambda logits, labels: _shifted(logits, labels, 0)),
    Slip("the wrong way",
         "Each position is held against the label before it, which it has seen.", _backwards),
    Slip("averaged over -100 too",
         "The sum is right, but it is divided by all labels. Only those that count should be counted.",
         lambda logits, labels: _shifted(logits, labels, 1, "sum") / labels[:, 1:].numel()),
    Slip("a sum", "That grows with the number of labels. The loss is a mean, so that batches can be compared.",
         lambda logits, labels: _shifted(logits, labels, 1, "sum")),
    Slip("a mean of means",
         "With one row it is right. With several, a row with few labels weighs as much as one with many.",
         _row_by_row),
    Slip("-100 as a token",
         "Labels of -100 should not count. Yours are read as token 0.",
         lambda logits, labels: _shifted(logits, labels.clamp(min=0), 1)),
    Slip("the last place counts",
         "After the last token comes none, so its place has no label. Yours has token 0.",
         lambda logits, labels: F.cross_entropy(
             logits.flatten(0, 1), F.pad(labels[:, 1:], (0, 1)).flatten(), ignore_index=IGNORED_LABEL)),
    Slip("the sign", "Everything is right but the sign: a loss is positive, and falls towards 0.",
         lambda logits, labels: -next_token_loss(logits, labels)),
    Slip("in bits", "The numbers are right in bits. The loss of the package is in nats.",
         lambda logits, labels: next_token_loss(logits, labels) / math.log(2)),
)  # fmt: skip


def check_loss(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(logits, labels) -> Float[]``, the mean surprise at the labels that count."""
    return judge(answer, next_token_loss, BATCHES, LOSSES, _value, close=CLOSE)


def _value(given: tuple[Logits, Labels], index: tuple[int, ...], got: float, wanted: float) -> str:
    return f"on logits {list(given[0].shape)} your loss is {got:.4f}; it should be {wanted:.4f}."
