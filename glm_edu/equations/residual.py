"""Equations of ChatGLM-6B's residual: DeepNorm, as coded."""

from dataclasses import replace
from typing import cast

from sympy import Integer, Rational, Symbol, symbols

from glm_edu.config import ModelConfig
from glm_edu.equations.equation import Equation, power, product, total, vector
from glm_edu.model.residual import scaled_post_norm

alpha, layers = Symbol("alpha"), Symbol("L", integer=True)
normed, out = symbols("y f")
TINY = ModelConfig.preset("tiny-chatglm")

RESIDUAL = (
    Equation(
        "deepnorm_alpha",
        left=alpha,
        right=power(product(Integer(2), layers), Rational(1, 2)),
        function=cast(property, ModelConfig.__dict__["alpha"]).fget,  # type: ignore[arg-type]
        call=lambda function, at: function(replace(TINY, alpha_layers=at["L"])),
        sample={"L": 28},
        symbols="$L$ is the number of layers; in the code of ChatGLM-6B it is 28 always.",
    ),
    Equation(
        "deepnorm_residual",
        left=Symbol("x_{k+1}"),
        right=total(product(alpha, normed), out),
        function=scaled_post_norm,
        call=lambda function, at: function(*(vector([[[at[name]]]]) for name in "xyf"), at["alpha"]),
        sample={"x": 0.25, "y": 0.5, "f": -0.75, "alpha": 7.48},
        symbols=r"$y_k = \mathrm{LN}_k(x_k)$ is the normalized stream, $f_k$ the sub-layer that reads it; the function "
        "is given $x_k$ too, and leaves it.",
        written={normed: "y_k", out: "f_k(y_k)"},
    ),
)
