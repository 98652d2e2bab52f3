"""QuantizedLinear: a linear layer that keeps its weights as int8 or int4.

Its state is that of the official layer: ``weight`` (int8; two int4 numbers in a byte), ``weight_scale``, ``bias``.

Official: quantization.py (ChatGLM-6B rev 8b7d335, ChatGLM2-6B rev 1fd8e8d), QuantizedLinear and W8A16Linear.
Differs: a kernel of PyTorch multiplies where there is one; elsewhere the weights are unpacked some rows at a time, so
that no large matrix is ever whole in memory on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8
from torch import Tensor, nn

from glm_edu.errors import InputError
from glm_edu.quantization import kernels
from glm_edu.quantization.weights import ROWS_AT_ONCE, dequantize, pack_int4, quantized, unpack_int4


class QuantizedLinear(nn.Module):
    """``x @ weights.T + bias`` with weights of 8 or 4 bits. Gradients reach ``x`` and the bias, not the weights."""

    weight: Tensor
    weight_scale: Tensor

    def __init__(self, linear: nn.Linear, bits: int) -> None:
        """The layer that takes the place of ``linear``; the bias is the same parameter.

        Raises:
            InputError: bits other than 8 and 4, a dtype that cannot be quantized, an odd number of columns with int4.
        """
        super().__init__()
        weight, scale = quantized(linear.weight.detach(), bits)
        self.bits, self.in_features, self.out_features = bits, linear.in_features, linear.out_features
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale", scale)
        self.bias = linear.bias
        self.register_state_dict_pre_hook(_to_official_order)
        self.register_load_state_dict_pre_hook(_to_official_order)

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        """Raises InputError if ``x`` has another dtype or device than the scales, or another width than the matrix."""
        self._check(x)
        rows, scale = x.reshape(-1, self.in_features), self.weight_scale  # r i; o
        kernel = self.kernel(len(rows))
        if kernel == kernels.PLAIN or (torch.is_grad_enabled() and x.requires_grad):  # kernels have no gradient
            out = self._plain(rows)
        elif kernel == kernels.INT8:
            out = kernels.int8_product(rows.contiguous(), self.weight, scale)
        else:
            out = kernels.int4_product(rows.contiguous(), self._in_kernel_order(), scale)
        out = out.view(*x.shape[:-1], self.out_features)
        return out if self.bias is None else out + self.bias

    def kernel(self, rows: int = 1) -> str:
        """What multiplies ``rows`` rows of input: the name of a function of PyTorch, or ``dequantize and matmul``."""
        shape = (self.out_features, self.in_features)
        return kernels.choose(self.bits, self.weight_scale.dtype, self.weight_scale.device, shape, rows)

    def _check(self, x: Tensor) -> None:
        scale = self.weight_scale
        if x.dtype != scale.dtype or x.device != scale.device:
            have, want = f"{x.dtype} on {x.device}", f"{scale.dtype} on {scale.device}"
            raise InputError(f"The input is {have}, but this quantized layer is {want}. Move one of them with .to().")
        if x.shape[-1] != self.in_features:
            raise InputError(f"The input has {x.shape[-1]} columns, but this quantized layer reads {self.in_features}.")

    def numbers(self, start: int = 0, stop: int | None = None) -> Int8[Tensor, "rows i"]:
        """The whole numbers of these rows of the matrix, unpacked. ``start`` is a multiple of ``kernels.BLOCK``."""
        stored = self.weight[start:stop]
        if stored.dtype == torch.uint8:
            return kernels.from_kernel_order(stored)
        return unpack_int4(stored) if self.bits == 4 else stored

    def to_official_order(self) -> None:
        """Put int4 numbers back from the kernel's order; without effect where they are in the official one."""
        if self.weight.dtype == torch.uint8:
            self.weight = self._blockwise(torch.int8, pack_int4)

    def _in_kernel_order(self) -> Tensor:
        if self.weight.dtype != torch.uint8:  # the first time; there is only one copy of the weights
            self.weight = self._blockwise(torch.uint8, kernels.to_kernel_order)
        return self.weight

    def _blockwise(self, dtype: torch.dtype, pack: Callable[[Tensor], Tensor]) -> Tensor:
        packed = torch.empty_like(self.weight, dtype=dtype)
        for start in range(0, self.out_features, kernels.BLOCK):
            block = slice(start, start + kernels.BLOCK)
            packed[block] = pack(self.numbers(block.start, block.stop))
        return packed

    def _plain(self, x: Float[Tensor, "r i"]) -> Float[Tensor, "r o"]:
        at_once = {"cpu": ROWS_AT_ONCE, "meta": max(ROWS_AT_ONCE, self.out_features // 16)}  # meta: a plan for a CPU
        step = at_once.get(x.device.type, self.out_features)
        starts = range(0, self.out_features, step)
        return torch.cat([F.linear(x, self._dequantized(start, start + step)) for start in starts], dim=-1)

    def _dequantized(self, start: int, stop: int) -> Float[Tensor, "rows i"]:
        return dequantize(self.numbers(start, stop), self.weight_scale[start:stop])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> QuantizedLinear:
        self.to_official_order()  # the kernel's order means nothing on another device
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        self.to_official_order()  # nor in another process
        return self.__dict__

    def extra_repr(self) -> str:
        """What ``print(model)`` says of this layer; the kernel is that of a decoding step, one row of input."""
        bias = self.bias is not None
        return f"{self.in_features}, {self.out_features}, bits={self.bits}, bias={bias}, kernel={self.kernel()}"


def _to_official_order(layer: QuantizedLinear, *_: Any) -> None:
    """Before its state is read or written."""
    layer.to_official_order()
