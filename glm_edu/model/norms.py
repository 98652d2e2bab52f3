"""Norms: LayerNorm, and RMSNorm in the two orders in which models cast back to half precision.

LayerNorm (Ba et al. 2016) centres each token and divides by its standard deviation. RMSNorm (Zhang & Sennrich 2019)
skips the centring and the bias. ChatGLM2-6B multiplies by the weight in float32 and casts last; LLaMA casts first. In
float32 the two are one; in float16 about a quarter of the elements differ in the last bit.

Official: modeling_chatglm.py (ChatGLM2-6B rev 1fd8e8d), RMSNorm; modeling_llama.py (transformers 5.23.0), LlamaRMSNorm.
Differs: one module for the three; a fresh RMSNorm weight is one (the official ChatGLM2 weight is uninitialized memory).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def layer_norm(
    x: Float[Tensor, "*b h"], weight: Float[Tensor, " h"], bias: Float[Tensor, " h"], eps: float
) -> Float[Tensor, "*b h"]:
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last axis: ChatGLM-6B."""
    return F.layer_norm(x, weight.shape, weight, bias, eps)


def rms_norm(x: Float[Tensor, "*b h"], weight: Float[Tensor, " h"], eps: float) -> Float[Tensor, "*b h"]:
    """x / sqrt(mean of squares + eps) * weight in float32, then cast: ChatGLM2-6B, ChatGLM3-6B."""
    return (_unit_rms(x, eps) * weight).to(x.dtype)


def rms_norm_cast_first(x: Float[Tensor, "*b h"], weight: Float[Tensor, " h"], eps: float) -> Float[Tensor, "*b h"]:
    """The same, cast to the input's dtype before the weight: LLaMA, GLM-4 in transformers."""
    return weight * _unit_rms(x, eps).to(x.dtype)


def _unit_rms(x: Float[Tensor, "*b h"], eps: float) -> Float[Tensor, "*b h"]:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)


class Norm(nn.Module):
    """One of the three norms over the hidden axis, with its weight (and bias, for LayerNorm)."""

    def __init__(self, kind: str, hidden_size: int, eps: float) -> None:
        super().__init__()
        self.kind, self.eps = kind, eps
        self.weight = nn.Parameter(torch.ones(hidden_size))
        if kind == "layernorm":
            self.bias = nn.Parameter(torch.zeros(hidden_size))

    def forward(self, x: Float[Tensor, "*b h"]) -> Float[Tensor, "*b h"]:
        if self.kind == "layernorm":
            return layer_norm(x, self.weight, self.bias, self.eps)
        return RMS_NORMS[self.kind](x, self.weight, self.eps)


RMS_NORMS = {"rmsnorm": rms_norm, "rmsnorm_cast_first": rms_norm_cast_first}
