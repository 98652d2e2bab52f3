"""A linear layer that reads its weights once when there is one token: the matrix-vector product of decoding.

At batch 1, each new token multiplies every weight with one row. What limits that is the memory's bandwidth, and PyTorch
has two ways to do it on a CPU: the general product, made for many rows, and the matrix-vector product. They give the
same numbers to the last bits. In bfloat16 the second is about one and a half times as fast at ChatGLM-6B's width
(``benchmarks/speed.py`` has the figures); in float16 it is slower, so float16 keeps the general one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

ROW_DTYPES = (torch.float32, torch.bfloat16)  # in which the matrix-vector product is not the slower one


def linear(
    x: Float[Tensor, "*b i"], weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None = None
) -> Float[Tensor, "*b o"]:
    """weight @ x + bias for every row of ``x``: one row on a CPU by the matrix-vector product, unless one learns."""
    one_row = x.numel() == weight.shape[1] and x.dtype in ROW_DTYPES and x.is_cpu
    if not one_row or torch.is_grad_enabled():
        return F.linear(x, weight, bias)
    row = x.view(-1)  # i
    out = torch.mv(weight, row) if bias is None else torch.addmv(bias, weight, row)  # o
    return out.view(*x.shape[:-1], -1)


class Linear(nn.Linear):
    """``nn.Linear`` by ``linear``."""

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        return linear(x, self.weight, self.bias)
