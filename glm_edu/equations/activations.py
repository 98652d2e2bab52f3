"""Equations of the activations."""

from sympy import Expr, Float, Integer, Rational, Symbol, erf, exp, pi, symbols, tanh

from glm_edu.equations.equation import Equation, power, product, total, vector
from glm_edu.model.activations import gelu_exact, gelu_tanh, silu, swiglu

x, gate, up = symbols("x a b")
GELU, SILU, SWIGLU = r"\mathrm{GELU}(x)", r"\mathrm{SiLU}(x)", r"\mathrm{SwiGLU}(a, b)"
HALF = Float("0.5")
ROOT = power(product(Integer(2), power(pi, Integer(-1))), Rational(1, 2))
INNER = total(Integer(1), product(Float("0.044715"), power(x, Integer(2))))


def _sigmoid_times(x: Symbol) -> Expr:
    return product(x, power(total(Integer(1), exp(product(Integer(-1), x))), Integer(-1)))


ACTIVATIONS = (
    Equation(
        "gelu_tanh",
        left=GELU,
        right=product(HALF, x, total(Integer(1), tanh(product(ROOT, x, INNER)))),
        function=gelu_tanh,
        call=lambda function, at: function(vector(at["x"])),
        sample={"x": 1.5},
        symbols="$x$ is one number; the function takes a tensor of them.",
    ),
    Equation(
        "gelu_erf",
        left=GELU,
        right=product(HALF, x, total(Integer(1), erf(product(x, power(Integer(2), Rational(-1, 2)))))),
        function=gelu_exact,
        call=lambda function, at: function(vector(at["x"])),
        sample={"x": 1.5},
        symbols=r"$x$ is one number; $\operatorname{erf}$ is the error function.",
    ),
    Equation(
        "silu",
        left=SILU,
        right=_sigmoid_times(x),
        function=silu,
        call=lambda function, at: function(vector(at["x"])),
        sample={"x": 1.5},
        symbols="$x$ is one number; the function takes a tensor of them.",
    ),
    Equation(
        "swiglu",
        left=SWIGLU,
        right=product(_sigmoid_times(gate), up),
        function=swiglu,
        call=lambda function, at: function(vector(at["a"]), vector(at["b"])),
        sample={"a": 1.5, "b": -2.0},
        symbols="$a$ is a number of the gate, $b$ the number of the other half at the same place.",
    ),
)
