"""Equations of the norms: number j of a token's vector."""

from sympy import Expr, IndexedBase, Integer, Rational, Sum, symbols

from glm_edu.equations.equation import Equation, apart, power, product, total, vector
from glm_edu.model.norms import layer_norm, rms_norm

x, w, b = (IndexedBase(name) for name in "xwb")
i, j, h = symbols("i j h", integer=True)
eps, mean, variance, square = symbols("epsilon mu v m")
Y = IndexedBase("y")[j]


def _mean_of(body: Expr) -> Expr:
    return product(apart(power(h, Integer(-1))), Sum(body, (i, 1, h)))


def _over_root_of(size: Expr) -> Expr:
    return power(total(size, eps), Rational(-1, 2))


NORMS = (
    Equation(
        "layer_norm",
        left=Y,
        right=total(
            product(apart(product(total(x[j], product(Integer(-1), mean)), _over_root_of(variance))), w[j]), b[j]
        ),
        where=(
            (mean, _mean_of(x[i])),
            (variance, _mean_of(power(total(x[i], product(Integer(-1), mean)), Integer(2)))),
        ),
        function=layer_norm,
        call=lambda function, at: function(
            vector(at["x"]), vector(at["w"]), vector(at["b"]), at["epsilon"]
        )[at["j"] - 1],
        sample={"x": [1.0, -2.0, 4.0], "w": [1.0, 1.5, 0.5], "b": [0.0, 0.25, -0.5], "epsilon": 1e-5, "h": 3, "j": 3},
        symbols="$x$ is the vector of one token, $h$ numbers long; $w$ and $b$ are learned; $\\epsilon$ keeps the root "
        "away from 0; $\\mu$ is the mean and $v$ the variance of the token.",
    ),
    Equation(
        "rms_norm",
        left=Y,
        right=product(apart(product(x[j], _over_root_of(square))), w[j]),
        where=((square, _mean_of(power(x[i], Integer(2)))),),
        function=rms_norm,
        call=lambda function, at: function(vector(at["x"]), vector(at["w"]), at["epsilon"])[at["j"] - 1],
        sample={"x": [1.0, -2.0, 4.0], "w": [1.0, 1.5, 0.5], "epsilon": 1e-5, "h": 3, "j": 3},
        symbols="$x$ is the vector of one token, $h$ numbers long; $m$ is the mean of their squares; $w$ is "
        "learned; $\\epsilon$ keeps the root away from 0.",
    ),
)  # fmt: skip
