"""Quantized weights beside the official ones: numbers, packed bytes and scales to the last bit, and the products."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glm_edu.parity.component import EXACT, Component
from glm_edu.parity.ladder import Rung
from glm_edu.quantization import linear, weights


def first_rungs(c: Component) -> Iterator[Rung]:
    """ChatGLM-6B in float16, with a row of zeros (officially undefined, so not compared) and without."""
    defined = c["weight_f16"].any(dim=1)  # o
    for bits in (8, 4):
        stored, scale = weights.quantized(c["weight_f16"], bits)
        yield c.rung(f"int{bits}.weight", stored[defined], EXACT, c[f"int{bits}.weight"][defined])
        yield c.rung(f"int{bits}.weight_scale", scale, EXACT)
        stem, whole = f"int{bits}_nozero", c["weight_nozero_f16"]
        numbers, scale = weights.quantize_rows(whole, bits)
        half = weights.dequantize(numbers, scale)
        yield c.rung(f"{stem}.q", numbers, EXACT)
        yield c.rung(f"{stem}.weight", weights.quantized(whole, bits)[0], EXACT)
        yield c.rung(f"{stem}.weight_scale", scale, EXACT)
        yield c.rung(f"{stem}.dequant_f16", half, EXACT)
        yield c.rung(f"{stem}.dequant_f32", weights.dequantize(numbers, scale.float()), EXACT)
        yield c.rung(f"{stem}.y_f16w_f32acc", c["x"].float() @ half.float().T, c.tolerance("y"))


def second_rungs(c: Component) -> Iterator[Rung]:
    """ChatGLM2-6B in both dtypes, and the layer: weights unpacked by the official C code, then multiplied."""
    for bits in (8, 4):
        for short, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
            stem = f"int{bits}.{short}"
            numbers, scale = weights.quantize_rows(c["w"].to(dtype), bits)
            yield c.rung(f"{stem}.q", numbers, EXACT)
            yield c.rung(f"{stem}.scale", scale, EXACT)
            if bits == 4:
                yield c.rung(f"{stem}.packed", weights.pack_int4(numbers), EXACT)
        stem = f"int{bits}.fp32"
        yield c.rung(f"{stem}.dequant", weights.dequantize(*weights.quantize_rows(c["w"], bits)), EXACT)
        yield c.rung(f"{stem}.linear_out", _layer(c["w"], c["bias"], bits)(c["x"]), c.tolerance("linear_out"))


def _layer(weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"], bits: int) -> linear.QuantizedLinear:
    whole = nn.Linear(weight.shape[1], weight.shape[0])
    whole.weight.data, whole.bias.data = weight, bias
    return linear.QuantizedLinear(whole, bits)
