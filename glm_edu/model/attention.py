"""Attention: each token asks, every visible token answers, the answers are averaged by how well they fit.

Vaswani et al. 2017, section 3.2. ChatGLM guards float16 against overflow: layer number c divides the query by c more
than sqrt(d) and multiplies the float32 scores by c again ("query-key layer scaling"). In exact arithmetic c cancels. In
ChatGLM-6B a score is hidden before that, so -10000 becomes -10000 * c.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), attention_fn and SelfAttention; (ChatGLM2-6B rev 1fd8e8d),
CoreAttention and SelfAttention; modeling_llama.py (transformers 5.23.0), eager_attention_forward.
Differs: query, key and value have a linear each (the official ChatGLM code fuses them; ``checkpoints`` splits the
rows); attention dropout acts on both paths, while the official ChatGLM2 code forgets it on the fast one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from glm_edu.config import ModelConfig
from glm_edu.linear import Linear
from glm_edu.model.masks import causal_mask
from glm_edu.model.rotary import Angles, apply_rotary
from glm_edu.model.tap import Tap

Heads = Float[Tensor, "b n q d"]
Groups = Float[Tensor, "b g k d"]
Mask = Bool[Tensor, "#b 1 q k"]  # one for the whole batch, or one for each row
Watch = Callable[[Tensor], Tensor]
Pair = tuple[Tensor, Tensor]
Extend = Callable[[Tensor, Tensor], Pair]  # new keys and values -> those before and the new


def expand_groups(x: Groups, heads: int) -> Float[Tensor, "b n k d"]:
    """Give every head its group's keys or values: head i reads group i // (n/g)."""
    return x.unsqueeze(2).expand(-1, -1, heads // x.shape[1], -1, -1).flatten(1, 2)  # b g n/g k d -> b n k d


def attention_scores(
    query: Heads, key: Float[Tensor, "b n k d"], mask: Mask | None,
    mask_value: float = -math.inf, layer: int = 1,
) -> Float[Tensor, "b n q k"]:  # fmt: skip
    """query @ key / sqrt(d) in float32, hidden ones masked. ``layer`` is the factor c of layer scaling, 1 = none."""
    query = query / (math.sqrt(query.shape[-1]) * layer)  # b n q d
    scores = query @ key.transpose(-1, -2)  # b n q k
    if mask is not None:
        scores = scores.masked_fill(~mask, mask_value)
    return scores.to(torch.promote_types(scores.dtype, torch.float32)) * layer


def eager_attention(
    query: Heads, key: Groups, value: Groups, mask: Mask | None, mask_value: float = -math.inf, layer: int = 1,
    dropout: float = 0.0, on_scores: Watch = lambda x: x, on_probs: Watch = lambda x: x,
) -> Heads:  # fmt: skip
    """The official order of operations, with the maps: scores, softmax in float32, average of the values."""
    heads = query.shape[1]
    scores = on_scores(attention_scores(query, expand_groups(key, heads), mask, mask_value, layer))  # b n q k
    probs = on_probs(scores.softmax(-1).to(query.dtype))  # b n q k
    return F.dropout(probs, dropout) @ expand_groups(value, heads)  # b n q d


def fast_attention(query: Heads, key: Groups, value: Groups, mask: Mask | None, dropout: float = 0.0) -> Heads:
    """The same average from PyTorch's fused kernel, which keeps no maps. No mask: causal, or one query sees all."""
    heads, groups, queries = query.shape[1], key.shape[1], query.shape[2]
    if queries == 1 and mask is None:  # the heads of a group are queries to the same keys: nothing is expanded
        folded = query.reshape(query.shape[0], groups, heads // groups, -1)  # b g n/g d
        out = F.scaled_dot_product_attention(folded, key, value, dropout_p=dropout)  # b g n/g d
        return out.reshape(query.shape)  # b n 1 d
    return F.scaled_dot_product_attention(
        query, expand_groups(key, heads), expand_groups(value, heads),
        attn_mask=mask, dropout_p=dropout, is_causal=mask is None,
    )  # fmt: skip


class SelfAttention(nn.Module):
    """Projections, rotary, cache, attention and output of one layer, for any number of kv groups."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        h, d, bias = config.hidden_size, config.head_dim, config.query_key_value_bias
        self.query = Linear(h, config.num_heads * d, bias=bias)
        self.key = Linear(h, config.num_kv_groups * d, bias=bias)
        self.value = Linear(h, config.num_kv_groups * d, bias=bias)
        self.output = Linear(config.num_heads * d, h, bias=config.attention_output_bias)
        self.config = config
        self.layer = index + 1 if config.layer_scaling else 1
        self.eager = False  # True: always the path with the maps
        self.taps = {
            name: Tap(f"blocks.{index}.attention.{name}", letters, meaning)
            for name, letters, meaning in (
                ("query", "b n q d", "queries after rotary, before scaling"),
                ("key", "b g k d", "keys after rotary, cached ones first"),
                ("value", "b g k d", "values, cached ones first"),
                ("scores", "b n q k", "query . key / sqrt(d), hidden ones masked, float32"),
                ("probs", "b n q k", "softmax of the scores: each row sums to 1"),
                ("mixed", "b s n*d", "the heads' averages of the values, side by side"),
                ("output", "b s h", "what attention adds to the stream"),
            )
        }

    def forward(
        self, x: Float[Tensor, "b s h"], angles: Angles, mask: Mask | None,
        extend: Extend | None = None,
    ) -> Float[Tensor, "b s h"]:  # fmt: skip
        d, pairing, tap = self.config.head_dim, self.config.rotary_pairing, self.taps
        query = self.query(x).unflatten(-1, (-1, d)).transpose(1, 2)  # b n q d
        key = self.key(x).unflatten(-1, (-1, d)).transpose(1, 2)  # b g s d
        value = self.value(x).unflatten(-1, (-1, d)).transpose(1, 2)  # b g s d
        query, key = apply_rotary(query, angles, pairing), apply_rotary(key, angles, pairing)
        if extend is not None:
            key, value = extend(key, value)  # b g k d
        query, key, value = tap["query"](query), tap["key"](key), tap["value"](value)
        mixed = self._attend(query, key, value, mask)  # b n q d
        mixed = tap["mixed"](mixed.transpose(1, 2).flatten(2))  # b s n*d
        return tap["output"](self.output(mixed))  # b s h

    def _attend(self, query: Heads, key: Groups, value: Groups, mask: Mask | None) -> Heads:
        dropout = self.config.attention_dropout if self.training else 0.0
        scores, probs = self.taps["scores"], self.taps["probs"]
        if not (self.eager or scores.watchers or probs.watchers):
            return fast_attention(query, key, value, mask, dropout)
        if mask is None and query.shape[2] > 1:
            mask = causal_mask(query.shape[2], key.shape[2]).to(query.device)[None, None]  # 1 1 q k
        return eager_attention(query, key, value, mask, self.config.mask_value, self.layer, dropout, scores, probs)
