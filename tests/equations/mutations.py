"""Mutations of an expression: every number changed, every term and factor dropped, every term with its sign turned."""

from collections.abc import Iterator
from typing import Any

import sympy


def mutations(expression: Any) -> Iterator[tuple[str, Any]]:
    """(what was done, the expression with that one change), for every place of the tree."""
    if isinstance(expression, sympy.Number):
        yield f"{expression} changed", expression + 1
        if expression != 0:
            yield f"the sign of {expression} turned", -expression
        return
    if isinstance(expression, sympy.NumberSymbol):
        yield f"{expression} changed", expression + 1
        return
    if isinstance(expression, sympy.Add | sympy.Mul | sympy.MatMul):
        for place, argument in enumerate(expression.args):
            others = expression.args[:place] + expression.args[place + 1 :]
            yield f"{argument} dropped", expression.func(*others, evaluate=False) if len(others) > 1 else others[0]
            if isinstance(expression, sympy.Add):
                turned = sympy.Mul(-1, argument, evaluate=False)
                yield f"the sign of {argument} turned", _with(expression, place, turned)
    yield from _inside(expression)


def _inside(expression: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(expression, sympy.Indexed):
        places = range(1, len(expression.args))
    elif isinstance(expression, sympy.MatrixBase):
        for place, entry in enumerate(expression.flat()):
            turned = f"the sign of {entry} turned", sympy.Mul(-1, entry, evaluate=False)
            for what, changed in (turned, *mutations(entry)):
                entries = [*expression.flat()[:place], changed, *expression.flat()[place + 1 :]]
                yield what, sympy.ImmutableMatrix(*expression.shape, entries)
        return
    else:
        places = range(len(expression.args))
    for place in places:
        for what, changed in mutations(expression.args[place]):
            yield what, _with(expression, place, changed)


def _with(expression: Any, place: int, argument: Any) -> Any:
    """The expression with another argument at ``place``, unsimplified."""
    arguments = [*expression.args[:place], argument, *expression.args[place + 1 :]]
    if isinstance(expression, sympy.Sum | sympy.Tuple | sympy.Indexed | sympy.UnevaluatedExpr):
        return expression.func(*arguments)
    return expression.func(*arguments, evaluate=False)
