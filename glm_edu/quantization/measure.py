"""How far a quantized network is from the one that it was made of: in its weights, and in what it predicts."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from glm_edu.model.transformer import Transformer
from glm_edu.quantization.model import quantized_layers
from glm_edu.quantization.weights import dequantize


@dataclass(frozen=True)
class Moved:
    """How far logits moved.

    Attributes:
        error: length of the difference over that of the logits, each row less its mean, which softmax does not see.
        same_first: share of the rows whose likeliest token stays the same.
    """

    error: float
    same_first: float


def weight_error(model: Transformer, quantized: Transformer) -> float:
    """Length of the difference of all quantized weights over the length of the weights themselves."""
    lost = whole = 0.0
    for name, layer in quantized_layers(quantized).items():
        weight = model.get_parameter(f"{name}.weight").detach().double()  # o i
        lost += float((dequantize(layer.numbers(), layer.weight_scale).double() - weight).square().sum())
        whole += float(weight.square().sum())
    return (lost / whole) ** 0.5


def moved(logits: Float[Tensor, "n v"], quantized: Float[Tensor, "n v"]) -> Moved:
    """How far ``quantized`` is from ``logits``, over all rows."""
    before, after = (x - x.mean(-1, keepdim=True) for x in (logits, quantized))  # n v
    error = float((after - before).norm() / before.norm())
    return Moved(error, float((before.argmax(-1) == after.argmax(-1)).double().mean()))
