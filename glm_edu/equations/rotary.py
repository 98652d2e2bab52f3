"""Equations of rotary position embedding."""

from collections.abc import Callable
from typing import Any

import torch
from sympy import ImmutableMatrix, IndexedBase, Integer, MatMul, Symbol, cos, sin, symbols
from torch import Tensor

from glm_edu.equations.equation import Equation, power, product, total, vector
from glm_edu.equations.evaluate import Inputs
from glm_edu.model.rotary import apply_rotary, inverse_frequencies

i, r, p, m, n = symbols("i r p m n", integer=True)
base, turn = Symbol("B"), Symbol("theta")
x, q, k = (IndexedBase(name) for name in "xqk")
MINUS = Integer(-1)


def _turned(function: Callable[..., Any], pair: Any, angle: float) -> Tensor:
    """``function`` is ``apply_rotary``: the pair, turned by ``angle``."""
    angles = vector([angle, angle])[None, None, None, None]  # c b 1 s r
    return function(vector(pair)[None, None, None], (angles.cos(), angles.sin()), "half")[0, 0, 0]


def _score(function: Callable[..., Any], at: Inputs) -> Tensor:
    turned = (_turned(function, at[name], at[place] * at["theta"]) for name, place in (("q", "m"), ("k", "n")))
    return torch.dot(*turned)


ANGLE, APART = product(p, turn), product(total(m, product(MINUS, n)), turn)

ROTARY = (
    Equation(
        "inverse_frequency",
        left=IndexedBase("theta")[i],
        right=power(base, product(Integer(-2), i, power(r, MINUS))),
        function=inverse_frequencies,
        call=lambda function, at: function(at["r"], at["B"], torch.float64)[at["i"]],
        sample={"B": 10000.0, "i": 4, "r": 32},
        symbols="$\\theta_i$ is the angle that pair $i$ turns with each position, pairs counted from 0; $r$ numbers of "
        "a head turn; $B$ is the base.",
    ),
    Equation(
        "rotary_pair",
        left=ImmutableMatrix([Symbol("x'_1"), Symbol("x'_2")]),
        right=MatMul(
            ImmutableMatrix([[cos(ANGLE), product(MINUS, sin(ANGLE))], [sin(ANGLE), cos(ANGLE)]]),
            ImmutableMatrix([x[1], x[2]]),
            evaluate=False,
        ),
        function=apply_rotary,
        call=lambda function, at: _turned(function, at["x"], at["p"] * at["theta"]),
        sample={"x": [1.0, 2.0], "p": 3, "theta": 0.5},
        symbols="$x_1, x_2$ are the two numbers of a pair, $p$ the position of the token, $\\theta$ the angle that "
        "this pair turns with each position.",
    ),
    Equation(
        "relative_distance",
        left=r"q'_1 k'_1 + q'_2 k'_2",
        right=total(
            product(total(product(q[1], k[1]), product(q[2], k[2])), cos(APART)),
            product(total(product(q[1], k[2]), product(MINUS, q[2], k[1])), sin(APART)),
        ),
        function=apply_rotary,
        call=_score,
        sample={"q": [1.0, 2.0], "k": [0.5, -1.0], "m": 7, "n": 4, "theta": 0.5},
        symbols="a pair of the query stands at position $m$, a pair of the key at $n$; the primed numbers are turned. "
        "$m$ and $n$ appear as their difference alone.",
    ),
)
