"""quantize_: the linear layers of a network's blocks become int8 or int4; everything else stays as it is.

In every block these are the projections of attention and of the feed-forward. Embedding, head, norms and biases keep
their dtype: so a model of n bits is larger than n / 16 of the float16 one.

Official: quantization.py (ChatGLM-6B rev 8b7d335), quantize; the same linears in ChatGLM2-6B and ChatGLM3-6B.
Differs: query, key and value (gate and up) are apart here. A scale belongs to a row, so nothing changes by that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from torch import nn

from glm_edu.errors import InputError
from glm_edu.model.transformer import Transformer
from glm_edu.quantization.linear import QuantizedLinear
from glm_edu.quantization.weights import LIMITS, check, largest_of_rows

Bits = Literal[4, 8]
BITS: dict[str, Bits] = {"int8": 8, "int4": 4}


def bits_named(name: str) -> Bits:
    """8 for "int8", 4 for "int4".

    Raises:
        InputError: another name.
    """
    if name not in BITS:
        raise InputError(f"quantize={name!r} is not known; it may be {' or '.join(map(repr, BITS))}, or None.")
    return BITS[name]


def quantize_(model: Transformer, bits: int) -> Transformer:
    """Quantize the linear layers of all blocks, one after the other, in place; returns the model.

    Raises:
        InputError: bits other than 8 and 4, a model that is quantized already, or weights that cannot be quantized.
    """
    if bits not in LIMITS:
        raise InputError(f"bits={bits!r} is not supported; it may be 8 or 4.")
    if quantized_layers(model):
        raise InputError(f"The model is int{bits_of(model)} already. To change that, load its float weights again.")
    linears = {f"blocks.{n}": m for n, m in model.blocks.named_modules() if isinstance(m, nn.Linear)}
    for name, linear in linears.items():  # before anything changes
        try:
            check(linear.weight.detach(), bits)
            if not linear.weight.is_meta:
                largest_of_rows(linear.weight.detach())
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    for name in list(linears):
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, QuantizedLinear(linears.pop(name), bits))
    model.config = replace(model.config, quantization_bits=cast(Bits, bits))
    return model


def quantized_layers(model: nn.Module) -> dict[str, QuantizedLinear]:
    """The quantized layers of a model by name."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, QuantizedLinear)}


def bits_of(model: nn.Module) -> Literal[0, 4, 8]:
    """8 or 4 if the model's blocks are quantized, else 0."""
    return cast(Literal[0, 4, 8], next((layer.bits for layer in quantized_layers(model).values()), 0))


def kernels_of(model: nn.Module, rows: int = 1) -> dict[str, str]:
    """What multiplies ``rows`` rows of input (1: a decoding step) in each quantized layer, by the layer's name."""
    return {name: layer.kernel(rows) for name, layer in quantized_layers(model).items()}
