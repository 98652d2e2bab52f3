"""Exercises that answer back: a check says what kind of mistake it is, and never gives the solution away.

A check runs your function on a few inputs. Where the result is wrong, it looks for a known mistake that makes exactly
your numbers on all of them, and tells you its kind. A mistake that nobody thought of is told by the first place that
differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glm_edu.page import ProofRow, proof

Answer = Callable[..., Any]
Try = tuple[Any, ...]  # the arguments of one call
NOT_YET = "not written yet"
CLOSE = 1e-4  # for numbers with a fraction: a function that works in float32 passes
Place = Callable[[Try, tuple[int, ...], Any, Any], str]  # arguments, index, what came out, what should -> a sentence


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check has to say: a terminal shows ``kind: hint``, a notebook the same in the colours of a proof row."""

    ok: bool
    kind: str
    hint: str

    def __repr__(self) -> str:
        return f"{self.kind}: {self.hint}"

    def _repr_html_(self) -> str:
        if self.kind in ("right", NOT_YET):
            return proof([ProofRow(self.ok or None, self.hint, "", self.kind)]).html
        return proof([ProofRow(False, repr(self), "", "not right yet")]).html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}


@dataclass(frozen=True)
class Slip:
    """A known mistake: its kind, the hint, and what makes it (a number, or a function like the right one)."""

    kind: str
    hint: str
    wrong: Any


def judge_number(answer: object, right: int, slips: Sequence[Slip], advice: str = "count again") -> Verdict:
    """The verdict on a predicted count. ``...`` and None are stubs; ``advice`` stands behind a number nobody knows."""
    if answer is None or answer is ...:
        return _not_yet("put your number in the place of the three dots.")
    if isinstance(answer, bool) or not isinstance(answer, int):
        return Verdict(False, "not a whole number", f"{answer!r} is a {type(answer).__name__}; a count is an int.")
    if answer == right:
        return Verdict(True, "right", f"{right}.")
    for slip in slips:
        if answer == slip.wrong:
            return Verdict(False, slip.kind, slip.hint)
    size = "large" if answer > right else "small"
    return Verdict(False, "another number", f"{answer} is too {size}; {advice}.")


def judge_numbers(
    expected: Mapping[str, tuple[int, Sequence[Slip]]],
    answers: Sequence[object],
    told: str,
    advice: str = "count again",
) -> Verdict:
    """The verdict on several predicted counts: the first that is not right, by its name; ``told`` if all are."""
    for (name, (right, slips)), answer in zip(expected.items(), answers, strict=True):
        verdict = judge_number(answer, right, slips, advice)
        if not verdict.ok:
            return Verdict(False, verdict.kind, f"{name}: {verdict.hint}")
    return Verdict(True, "right", told)


def judge(
    answer: Answer, right: Answer, tries: Sequence[Try], slips: Sequence[Slip], place: Place, close: float | None = None
) -> Verdict:
    """The verdict on a function that returns a tensor.

    Args:
        answer: the reader's function. It is called with copies, so that it may change what it is given.
        right: the function that it should equal on every one of ``tries``.
        slips: known mistakes; the first that makes the same results is told.
        place: says where an unknown mistake shows first.
        close: how far apart numbers may be, absolute and relative, whatever their precision; without it, not at all.
    """
    results, wanted = run(answer, tries), [right(*given) for given in tries]
    if isinstance(results, Verdict):
        return results
    if problem := next(filter(None, map(_form, results, wanted)), None):
        return problem
    if same(results, wanted, close):
        return Verdict(True, "right", f"equal to the package's own on {len(tries)} inputs.")
    for slip in slips:
        if same(results, [slip.wrong(*given) for given in tries], close):
            return Verdict(False, slip.kind, slip.hint)
    return Verdict(False, "another mistake", _first_place(results, wanted, tries, place, close))


def run(answer: Answer, tries: Sequence[Try]) -> list[Any] | Verdict:
    """What the reader's function returns for a copy of each input, or why there is nothing to look at."""
    try:
        results = [answer(*deepcopy(given)) for given in tries]
    except NotImplementedError:
        return _not_yet("write the body of the function, then run the cell again.")
    except Exception as error:
        return Verdict(False, "it stops with an error", f"{type(error).__name__}: {error}")
    if all(result is None or result is ... for result in results):
        return _not_yet("the function returns nothing so far.")
    return results


def same(results: Sequence[Tensor], others: Sequence[Tensor], close: float | None = None) -> bool:
    """Whether no number differs, in any of the results."""
    return not any(bool(_differs(*pair, close).any()) for pair in zip(results, others, strict=True))


def _differs(result: Tensor, want: Tensor, close: float | None) -> Tensor:
    if close is None:
        return result != want
    return ~torch.isclose(result.double(), want.double(), rtol=close, atol=close)


def _not_yet(hint: str) -> Verdict:
    return Verdict(False, NOT_YET, hint)


def _form(result: object, want: Tensor) -> Verdict | None:
    """What is wrong with a result before its numbers are looked at."""
    shape = list(want.shape)
    if not isinstance(result, Tensor):
        return Verdict(False, "not a tensor", f"the function returns a {type(result).__name__}, not a tensor {shape}.")
    if result.shape != want.shape:
        return Verdict(False, "the shape", f"the function returns {list(result.shape)}; it should be {shape}.")
    if _words(result.dtype) != (words := _words(want.dtype)):
        return Verdict(False, "the kind of number", f"the function returns {result.dtype}; it should hold {words}.")
    if (result.layout, result.device) != (want.layout, want.device):
        return Verdict(False, "not plain numbers", f"the function returns a {result.layout} on {result.device}.")
    return None


def _words(dtype: torch.dtype) -> str:
    if dtype == torch.bool:
        return "True and False"
    if dtype.is_complex:
        return "complex numbers"
    return "numbers with a fraction" if dtype.is_floating_point else "whole numbers"


def _first_place(
    results: Sequence[Tensor], wanted: Sequence[Tensor], tries: Sequence[Try], place: Place, close: float | None
) -> str:
    for result, want, given in zip(results, wanted, tries, strict=True):
        if len(where := _differs(result, want, close).nonzero()):
            index = tuple(where[0].tolist())
            return place(given, index, result[index].item(), want[index].item())
    raise AssertionError("results that differ from nothing")
