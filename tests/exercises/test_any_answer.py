"""Whatever a reader hands in, every check of every chapter answers with a sentence, and none takes it for right."""

import inspect
import pkgutil
from importlib import import_module
from typing import get_type_hints

import pytest
import torch

import glm_edu.exercises
from glm_edu.exercises import Answer, Slip, Verdict, judge

THEMES = [found.name for found in pkgutil.iter_modules(glm_edu.exercises.__path__)]
MODULES = [import_module(f"glm_edu.exercises.{theme}") for theme in THEMES]
CHECKS = [check for module in MODULES for name, check in inspect.getmembers(module, inspect.isfunction)
          if name.startswith("check_") and check.__module__ == module.__name__]  # fmt: skip
ODD = (..., None, "x", b"x", 10**400, 1j, float("nan"), [1, 2], ["x", None], {}, object(), torch.zeros(2, 2),
       torch.zeros(0), [torch.zeros(2)], torch.zeros(3).numpy())  # fmt: skip


def test_no_chapter_is_left_out():
    assert len(MODULES) == 18 and len(CHECKS) == 54


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.__module__.rpartition('.')[2]}.{check.__name__}")
def test_an_odd_answer_gets_a_sentence(check):
    kinds = [kind for name, kind in get_type_hints(check).items() if name != "return"]
    for odd in ODD:
        answer = (lambda *_, odd=odd: odd) if Answer in kinds else odd
        verdict = check(*[answer] * len(kinds))
        assert isinstance(verdict, Verdict) and not verdict.ok and verdict.hint, odd
        assert verdict.kind in verdict._repr_html_() or verdict.kind == "it stops with an error"


NUMBERS = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
FORMS = {
    "the kind of number": lambda x: x.to(torch.complex64), "not plain numbers": lambda x: x.to_sparse(),
    "the shape": lambda x: x[0], "not a tensor": lambda x: x.tolist(), "another mistake": lambda x: x * float("nan"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
def test_a_result_of_another_form_is_no_right_one(kind):
    def right(x):
        return x

    def verdict(answer: Answer) -> Verdict:
        slips = [Slip("backwards", "turned round", lambda x: x.flip(0))]
        return judge(answer, right, [(NUMBERS,)], slips, lambda given, index, got, wanted: f"{got} at {index}")

    assert verdict(right).ok
    assert verdict(FORMS[kind]).kind == kind
