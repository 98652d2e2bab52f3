"""int8 and int4 weights, one scale a row, as the official ChatGLM code has them. One idea a file:

weights (the arithmetic), kernels (what PyTorch has for it), linear (a layer), model (a network).
"""

from glm_edu.quantization.linear import QuantizedLinear
from glm_edu.quantization.model import kernels_of, quantize_
from glm_edu.quantization.weights import dequantize, pack_int4, quantize_rows, quantized, unpack_int4

__all__ = [
    "QuantizedLinear",
    "dequantize",
    "kernels_of",
    "pack_int4",
    "quantize_",
    "quantize_rows",
    "quantized",
    "unpack_int4",
]
