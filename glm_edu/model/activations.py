"""Activations: GELU in its two forms, SiLU, and the gated product SwiGLU.

GELU (Hendrycks & Gimpel 2016, section 2) multiplies x by the chance that a standard normal variable lies below x.
ChatGLM-6B uses the tanh approximation; the exact form, with erf, differs by up to 4.7e-4, enough to tell them apart in
the logits.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), gelu_impl; modeling_chatglm.py (ChatGLM2-6B rev 1fd8e8d), MLP.
Differs: the network calls PyTorch's fused kernels; the formula stands beside it, and a test holds them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def gelu_tanh_by_hand(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The tanh form, written out."""
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * x * (1.0 + 0.044715 * x * x)))


def gelu_tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The tanh form in one kernel: ChatGLM-6B."""
    return F.gelu(x, approximate="tanh")


def gelu_exact(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x * P(normal < x), with erf. No model of the family uses it: it is the mistake that looks right."""
    return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))


def silu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x * sigmoid(x)."""
    return F.silu(x)


def swiglu(gate: Float[Tensor, "*shape"], up: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """silu(gate) * up (Shazeer 2020): ChatGLM2-6B, ChatGLM3-6B, LLaMA. A fused official linear holds the gate first."""
    return silu(gate) * up


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu_tanh": gelu_tanh, "gelu": gelu_exact, "silu": silu}
