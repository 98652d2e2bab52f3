"""The tests' own check of shapes: it finds what jaxtyping's decorator finds, wherever an annotation stands."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import jaxtyping
import pytest
import torch
from shape_checks import CHECKER, checked_once

SOURCE = '''
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Float[Tensor, "s h"]


def double(x: Row, y: Row) -> Float[Tensor, "s 2*h"]:
    return x.new_zeros(x.shape[0], 2 * x.shape[1])


def lies(x: Row) -> Float[Tensor, "h s"]:
    return x


def shared(x: Row | None, *, pairs: list[tuple[Row, int]]) -> None:
    inner(x.T)  # axes of its own


def inner(x: Row) -> None:
    pass


def first(x: Float[Tensor, "b s"], count: int) -> Float[Tensor, "b {count}"]:
    return x[:, :3]


def scale(x: float) -> str:
    return x


def rows(x: Row) -> Iterator[Row]:
    yield from x


def later(x: Row, plot: Figure | None = None) -> Float[Tensor, "h s"]:
    return x


@dataclass
class Pair:
    x: Row
    y: Row

    @property
    def wide(self) -> Float[Tensor, "s s"]:
        return self.x

    @classmethod
    def of(cls, x: Row) -> Pair:
        return cls(x, x)
'''
X, WIDE = torch.zeros(2, 3), torch.zeros(2, 5)
MISTAKES: dict[str, Callable[[ModuleType], object]] = {
    "two arguments that disagree": lambda m: m.double(X, WIDE),
    "too many axes": lambda m: m.double(X[None], X),
    "another dtype": lambda m: m.double(X.int(), X),
    "an argument by keyword": lambda m: m.double(x=X, y=WIDE),
    "what is returned": lambda m: m.lies(X),
    "inside a container": lambda m: m.shared(X, pairs=[(WIDE, 1)]),
    "an axis that is the value of an argument": lambda m: m.first(torch.zeros(2, 9), 4),
    "no array at all": lambda m: m.scale("one"),
    "a return without arrays": lambda m: m.scale(1.0),
    "an argument of a generator": lambda m: m.rows(X[0]),
    "beside a name that only type checkers import": lambda m: m.later(X),
    "a field of a dataclass": lambda m: m.Pair(X, WIDE),
    "a property": lambda m: m.Pair(X, X).wide,
    "a class method": lambda m: m.Pair.of(X[0]),
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module above, imported through the hook that the tests use."""
    directory: Path = tmp_path_factory.mktemp("module")
    (directory / "shapes_to_check.py").write_text(SOURCE)
    sys.path.insert(0, str(directory))
    with jaxtyping.install_import_hook("shapes_to_check", CHECKER):
        yield importlib.import_module("shapes_to_check")
    sys.path.remove(str(directory))


def test_this_is_the_decorator_of_the_hook() -> None:
    assert jaxtyping.jaxtyped is checked_once


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found(mistake: str, checked: ModuleType) -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="Type-check error"):
        MISTAKES[mistake](checked)


def test_what_is_right_passes(checked: ModuleType) -> None:
    assert checked.double(X, X).shape == (2, 6)
    assert checked.first(torch.zeros(2, 9), 3).shape == (2, 3)
    assert len(list(checked.rows(X))) == 2
    assert checked.Pair.of(X).x is X
    checked.shared(X, pairs=[(X, 1)])
    with pytest.raises(jaxtyping.TypeCheckError, match="violates"):
        checked.scale(1)  # a whole number is a float, and what comes back is still no text


def test_unchecked_is_unchecked(checked: ModuleType, unchecked: None) -> None:
    assert checked.lies(X) is X
    assert checked.scale("one") == "one"
