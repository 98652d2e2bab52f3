"""Rotary position embedding: turn pairs of a head's elements by an angle that grows with the position.

Su et al. 2021, section 3.2. Position p turns pair i by p * base^(-2i/r), r elements being rotated. The dot product of a
turned query and a turned key then depends on the distance of their positions only. The family differs in which elements
form a pair (``rotate_half``: i and i + r/2; ``rotate_pairs``: 2i and 2i + 1), in how much of a head turns, and, in
ChatGLM-6B, in having two positions for a token: each turns one half of the head.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), RotaryEmbedding; (ChatGLM2-6B rev 1fd8e8d and ChatGLM3-6B rev
456aa87), RotaryEmbedding and apply_rotary_pos_emb; modeling_llama.py (transformers 5.23.0).
Differs: angles are computed for the positions at hand, once a forward pass; the official code keeps a table of all
positions, in ChatGLM-6B one a layer. Row p of that table is what is computed here. The three precisions are
``ModelConfig`` fields.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.config import ModelConfig

DTYPES = {"float16": torch.float16, "float32": torch.float32, "bfloat16": torch.bfloat16}
Angles = tuple[Float[Tensor, "c b 1 s r"], Float[Tensor, "c b 1 s r"]]  # cos and sin, ready to multiply with


def rotate_half(x: Float[Tensor, "*b r"]) -> Float[Tensor, "*b r"]:
    """A quarter turn of the pairs (i, i + r/2): ChatGLM-6B, LLaMA."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


def rotate_pairs(x: Float[Tensor, "*b r"]) -> Float[Tensor, "*b r"]:
    """A quarter turn of the pairs (2i, 2i + 1): ChatGLM2-6B, ChatGLM3-6B, GLM-4."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([-odd, even], dim=-1).flatten(-2)


ROTATE: dict[str, Callable[[Tensor], Tensor]] = {"half": rotate_half, "pairs": rotate_pairs}


def inverse_frequencies(rotary_dim: int, base: float, dtype: torch.dtype = torch.float32) -> Float[Tensor, " pairs"]:
    """base^(-2i/r) for each pair i, computed in ``dtype``. In float16 the arithmetic is coarse: ChatGLM2-6B's quirk."""
    return 1.0 / base ** (torch.arange(0, rotary_dim, 2, dtype=dtype) / rotary_dim)


def frequencies(config: ModelConfig, dtype: torch.dtype) -> Float[Tensor, " pairs"]:
    """The inverse frequencies with the precision that ``config.rotary_frequencies`` names, for a model in ``dtype``."""
    computed_in = dtype if config.rotary_frequencies == "model" else torch.float32
    exact = inverse_frequencies(config.rotary_dim, config.rotary_base * config.rope_ratio, computed_in)
    return exact.half() if config.rotary_frequencies == "float16" else exact


def angle_table(config: ModelConfig, position_ids: Int[Tensor, "b *c s"], dtype: torch.dtype) -> Angles:
    """cos and sin of every token's angles, in the model's ``dtype``, laid out for the pairing."""
    position_ids = position_ids if position_ids.ndim == 3 else position_ids[:, None]  # b c s
    angle_dtype = dtype if config.rotary_angles == "model" else torch.float32
    turns = frequencies(config, dtype).to(position_ids.device, angle_dtype)
    angles = rearrange(position_ids, "b c s -> c b 1 s 1").to(angle_dtype) * turns  # c b 1 s r/2
    layout = "... r -> ... (two r)" if config.rotary_pairing == "half" else "... r -> ... (r two)"
    angles = repeat(angles, layout, two=2).to(torch.promote_types(angle_dtype, torch.float32))  # c b 1 s r
    return angles.cos().to(dtype), angles.sin().to(dtype)


def apply_rotary(x: Float[Tensor, "b n s d"], angles: Angles, pairing: str) -> Float[Tensor, "b n s d"]:
    """Turn the first c * r elements of each head, r by each position channel; the rest passes."""
    cos, sin = angles
    channels, rotary_dim = cos.shape[0], cos.shape[-1]
    rest = x.shape[-1] - channels * rotary_dim
    parts = x.split([rotary_dim] * channels + [rest] * (rest > 0), dim=-1)
    turned = [x * c + ROTATE[pairing](x) * s for x, c, s in zip(parts, cos.unbind(), sin.unbind(), strict=False)]
    return turned[0] if len(parts) == 1 else torch.cat([*turned, *parts[channels:]], dim=-1)  # b n s d
