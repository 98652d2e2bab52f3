"""An equation of a component: what a page shows, what is evaluated, and the function that computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from glm_edu.equations.evaluate import Inputs, value
from glm_edu.errors import InputError

Call = Callable[[Callable[..., Any], Inputs], Any]


@dataclass(frozen=True)
class Equation:
    """``left`` = ``right``, and a function of the package that gives the same numbers.

    Attributes:
        name: its name in ``EQUATIONS``.
        left: what is defined, for display alone: an expression, or LaTeX.
        right: what it is. The page shows this expression and ``formula`` evaluates it.
        function: what computes it in the package.
        call: how ``function`` is called with the inputs; gives one number, or the numbers of the formula in order.
        sample: the inputs of the number that the page shows, a value for each symbol.
        symbols: a sentence that says what each symbol is, in Markdown.
        where: symbols that ``right`` uses and what they are, in the order in which they are computed.
        written: LaTeX of symbols whose name is not enough.
    """

    name: str
    left: Any
    right: Any
    function: Callable[..., Any]
    call: Call
    sample: Inputs
    symbols: str
    where: tuple[tuple[sympy.Symbol, Any], ...] = ()
    written: Mapping[sympy.Symbol, str] = field(default_factory=dict)

    @property
    def dotted_name(self) -> str:
        """Where the function is, as Python names it."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def latex(self) -> str:
        """The equation as LaTeX, its terms in the order in which they were written."""
        parts = [(self.left, self.right), *self.where]
        return r", \qquad ".join(f"{self._latex(left)} = {self._latex(right)}" for left, right in parts)

    def _latex(self, part: Any) -> str:
        if isinstance(part, str):
            return part
        return sympy.latex(part, order="none", ln_notation=True, symbol_names=dict(self.written))

    def formula(self, at: Inputs | None = None) -> np.ndarray:
        """The numbers of ``right``, in float64, from its tree. Raises InputError where ``at`` leaves a symbol out."""
        known = dict(self._given(at))
        for symbol, meaning in self.where:
            known[symbol.name] = value(meaning, known)
        return np.asarray(value(self.right, known), dtype=float).reshape(-1)

    def computed(self, at: Inputs | None = None, function: Callable[..., Any] | None = None) -> np.ndarray:
        """The same numbers from the function of the package, or from another in its place."""
        found = self.call(function or self.function, self._given(at))
        return np.asarray(found.tolist() if isinstance(found, Tensor) else found, dtype=float).reshape(-1)

    def _given(self, at: Inputs | None) -> Inputs:
        if at is not None and (missing := [name for name in self.sample if name not in at]):
            raise InputError(f"{self.name} has no value for {', '.join(missing)}; it needs {', '.join(self.sample)}.")
        return self.sample if at is None else at


def vector(numbers: Any) -> Tensor:
    """Numbers as a float64 tensor."""
    return torch.tensor(numbers, dtype=torch.float64)


def product(*factors: Any) -> sympy.Expr:
    """Factors side by side, as they are written."""
    return sympy.Mul(*factors, evaluate=False)


def total(*terms: Any) -> sympy.Expr:
    """Terms side by side, as they are written."""
    return sympy.Add(*terms, evaluate=False)


def apart(expression: Any) -> sympy.Expr:
    """A factor or fraction that stands by itself beside others."""
    return sympy.UnevaluatedExpr(expression)


def power(base: Any, exponent: Any) -> sympy.Expr:
    """A power that stays as it is written."""
    return sympy.Pow(base, exponent, evaluate=False)
