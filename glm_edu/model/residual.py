"""Residual connections: three published choices, one line each.

Every sub-layer of a transformer computes f(norm(x)) and then decides what to add it to. That one decision is most of
what separates ChatGLM-6B's block from ChatGLM2-6B's.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), GLMBlock.forward; (ChatGLM2-6B rev 1fd8e8d), GLMBlock.forward.
Differs: the official code writes each choice inline; here they are values of ``ModelConfig.residual``. ChatGLM-6B's
alpha is sqrt(2 * 28) whatever the number of layers: its GLMBlock has 28 as a default and is never given the config's.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Hidden = Float[Tensor, "b s h"]


def pre_norm(x: Hidden, normed: Hidden, out: Hidden, alpha: float) -> Hidden:
    """x + f(norm(x)): ChatGLM2-6B, ChatGLM3-6B, LLaMA. The stream is never normalized, so it can grow."""
    return x + out


def post_norm(x: Hidden, normed: Hidden, out: Hidden, alpha: float) -> Hidden:
    """norm(x) + f(norm(x)): ChatGLM2-6B with ``apply_residual_connection_post_layernorm``."""
    return normed + out


def scaled_post_norm(x: Hidden, normed: Hidden, out: Hidden, alpha: float) -> Hidden:
    """alpha * norm(x) + f(norm(x)): ChatGLM-6B. DeepNorm, regrouped so that it looks like pre-norm."""
    return alpha * normed + out


RESIDUALS: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "pre_norm": pre_norm,
    "post_norm": post_norm,
    "scaled_post_norm": scaled_post_norm,
}
