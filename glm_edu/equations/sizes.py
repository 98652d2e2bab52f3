"""Equations of sizes: parameters of a network, bytes of its cache."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from sympy import Integer, symbols

from glm_edu.config import ModelConfig
from glm_edu.cost import cache_bytes
from glm_edu.equations.equation import Equation, power, product, total
from glm_edu.equations.evaluate import Inputs

h, f, v, d, n, g, layers, size = symbols("h f v d n g L e", integer=True)
parameter_count = cast(Callable[..., Any], cast(property, ModelConfig.__dict__["parameter_count"]).fget)
TWO = Integer(2)


def _config(preset: str, at: Inputs, **more: int) -> ModelConfig:
    """The preset with the sizes of ``at``."""
    names = {"h": "hidden_size", "f": "feedforward_size", "v": "vocab_size", "L": "num_layers", "n": "num_heads",
             "g": "num_kv_groups", "d": "head_dim"}  # fmt: skip
    sizes = {names[letter]: number for letter, number in at.items() if letter in names}
    return replace(ModelConfig.preset(preset), **{**sizes, **more})


QUERY_ROWS = product(n, d)
KEY_ROWS = product(TWO, g, d)

SIZES = (
    Equation(
        "parameter_count_v1",
        left=symbols("P"),
        right=total(
            product(layers, total(
                product(Integer(4), total(power(h, TWO), h)),
                total(product(TWO, h, f), f, h),
                product(Integer(4), h),
            )),
            product(TWO, v, h),
            product(TWO, h),
        ),
        function=parameter_count,
        call=lambda function, at: function(
            _config("chatglm-6b", at, num_heads=1, num_kv_groups=1, head_dim=at["h"])
        ),
        sample={"L": 28, "h": 4096, "f": 16384, "v": 130528},
        symbols="$L$ blocks of attention (four linears with a bias), feed-forward (two linears with a bias) and two "
        "norms; then the tables of $v$ rows, embedding and head, and the final norm. $h$ is the hidden size, $f$ the "
        "width of the feed-forward.",
    ),
    Equation(
        "parameter_count_v2",
        left=symbols("P"),
        right=total(
            product(layers, total(
                product(total(h, Integer(1)), total(QUERY_ROWS, KEY_ROWS)),
                product(n, d, h),
                product(Integer(3), h, f),
                product(TWO, h),
            )),
            product(TWO, v, h),
            h,
        ),
        function=parameter_count,
        call=lambda function, at: function(_config("chatglm2-6b", at)),
        sample={"L": 28, "h": 4096, "n": 32, "g": 2, "d": 128, "f": 13696, "v": 65024},
        symbols="$L$ blocks of query, key and value with a bias, attention's output, the three matrices of the "
        "feed-forward and two norms; then embedding and head with $v$ rows each, and the final norm. $n$ heads and $g$ "
        "groups of $d$ numbers, $h$ the hidden size, $f$ the width of the feed-forward.",
    ),
    Equation(
        "cache_bytes_per_token",
        left=symbols("C"),
        right=product(TWO, layers, g, d, size),
        function=cache_bytes,
        call=lambda function, at: function(
            _config("chatglm2-6b", at, num_heads=at["g"]), 1, element_size=at["e"]
        ),
        sample={"L": 28, "g": 2, "d": 128, "e": 2},
        symbols="a key and a value in each of $L$ layers, for each of $g$ groups, $d$ numbers of $e$ bytes.",
    ),
)  # fmt: skip
