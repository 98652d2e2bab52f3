"""The value of a sympy expression in float64, read from its tree: nothing is simplified and no code is made of it.

Indices count from 1, as they do in the formula: ``x[1]`` is the first number of ``x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy

Inputs = Mapping[str, Any]  # the name of a symbol -> a number, or nested lists of numbers for an indexed one


class Largest(sympy.Function):
    """``Largest(body, i, n)``: the largest value of ``body`` for i = 1 to n."""

    def _latex(self, printer: Any) -> str:
        body, index, _ = self.args
        return rf"\max_{{{printer.doprint(index)}}} {printer.doprint(body)}"


OPERATIONS: dict[Any, Callable[..., Any]] = {
    sympy.Add: lambda *terms: sum(terms),
    sympy.Mul: lambda *factors: math.prod(factors),
    sympy.Pow: lambda base, exponent: base**exponent,
    sympy.MatMul: np.matmul,
    sympy.UnevaluatedExpr: lambda inside: inside,
    sympy.Abs: abs,
    sympy.exp: math.exp,
    sympy.log: math.log,
    sympy.sin: math.sin,
    sympy.cos: math.cos,
    sympy.tanh: math.tanh,
    sympy.erf: math.erf,
}


def value(expression: Any, at: Inputs) -> Any:
    """What ``expression`` is when its symbols have the values of ``at``: a number, or an array for a matrix.

    Raises:
        IndexError: an index below 1, or past the end.
        KeyError: a symbol that ``at`` does not name, or an operation that has no meaning here.
    """
    if isinstance(expression, sympy.Sum):
        body, (index, first, last) = expression.args
        return sum(_values(body, index, value(first, at), value(last, at), at))
    if isinstance(expression, Largest):
        body, index, last = expression.args
        return max(_values(body, index, 1, value(last, at), at))
    if isinstance(expression, sympy.Indexed):
        place = tuple(int(value(index, at)) - 1 for index in expression.indices)
        if min(place) < 0:
            raise IndexError(f"{expression} has an index below 1; the first number has index 1.")
        return float(np.asarray(at[str(expression.base)])[place])
    if isinstance(expression, sympy.Symbol):
        return at[expression.name]
    if isinstance(expression, sympy.Integer):
        return int(expression)
    if expression.is_Atom:
        return float(expression)
    if isinstance(expression, sympy.MatrixBase):
        return np.array([[value(entry, at) for entry in row] for row in expression.tolist()])
    return OPERATIONS[expression.func](*(value(argument, at) for argument in expression.args))


def _values(body: Any, index: sympy.Symbol, first: int, last: int, at: Inputs) -> list[Any]:
    return [value(body, {**at, index.name: number}) for number in range(int(first), int(last) + 1)]
