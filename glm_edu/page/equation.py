"""An equation of a component as a page shows it: the formula, the function, and one number computed by both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from glm_edu.equations import EQUATIONS, Equation
from glm_edu.errors import InputError

DIGITS = 6  # significant ones of the number that is shown


@dataclass(frozen=True, repr=False)
class ShownEquation:
    """Displays itself as Markdown, so that the site and JupyterLab set its formula as they set every other."""

    equation: Equation

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/markdown": self._repr_markdown_(), "text/plain": repr(self)}

    def _repr_markdown_(self) -> str:
        one = self.equation
        said = one.symbols[0].upper() + one.symbols[1:]
        return (
            f'<div class="glm-equation">\n\n$$\n{one.latex()}\n$$\n\n{said}\n\n'
            f"Computed by `{one.dotted_name}`. For {_inputs(one)}: by the formula **{_numbers(one.formula())}**, "
            f"by the function **{_numbers(one.computed())}**.\n\n</div>\n"
        )

    def __repr__(self) -> str:
        one = self.equation
        numbers = f"formula {_numbers(one.formula())}, function {_numbers(one.computed())}"
        return f"equation {one.name}: {one.dotted_name}; for {_inputs(one)}: {numbers}".replace("$", "")


def equation(name: str) -> ShownEquation:
    """The equation of that name, to be displayed.

    Raises:
        InputError: there is no such equation; the message lists those that there are.
    """
    if name not in EQUATIONS:
        raise InputError(f"There is no equation {name!r}. There are: {', '.join(EQUATIONS)}.")
    return ShownEquation(EQUATIONS[name])


def _inputs(one: Equation) -> str:
    return ", ".join(f"${_letter(name)} = {_written(given)}$" for name, given in one.sample.items())


def _letter(name: str) -> str:
    return name if len(name) == 1 else f"\\{name}"


def _written(given: Any) -> str:
    """A number, or numbers in brackets, as LaTeX."""
    if isinstance(given, Iterable):
        return f"({', '.join(map(_written, given))})"
    if isinstance(given, int):
        return f"{given:,}".replace(",", "{,}")
    digits, _, exponent = f"{given:.{DIGITS}g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits


def _numbers(found: Iterable[float]) -> str:
    """Rounded, so that the last bits of a processor do not show."""
    return " and ".join(_number(number) for number in found)


def _number(number: float) -> str:
    if number == int(number) and abs(number) >= 1000:
        return f"{int(number):,}"
    return f"{round(number, DIGITS):.{DIGITS}g}".replace("-", "−")
