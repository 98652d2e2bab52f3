"""Mistakes: plausible wrong versions of one line each, and the tensor at which the ladder must catch them.

A proof that cannot fail proves nothing. Each entry plants one mistake, names the case that shows it, and the first
official tensor that it moves. The tests apply all of them; the chapters apply one and let you watch the row turn red.

    with mistake("bos joins the prefix"):
        ladder = climb(Transformer.from_pretrained(case.directory), case)
    ladder.first_divergent                    # "mask"
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from glm_edu import loss
from glm_edu.checkpoints import name_maps
from glm_edu.config import FAMILIES, ModelConfig
from glm_edu.errors import InputError
from glm_edu.loss import IGNORED_LABEL, next_token_loss
from glm_edu.model import (
    activations,
    attention,
    feedforward,
    masks,
    norms,
    positions,
    prefix,
    residual,
    rotary,
    transformer,
)
from glm_edu.model.attention import attention_scores
from glm_edu.model.transformer import Transformer
from glm_edu.parity import ladder
from glm_edu.quantization import linear, weights

Patches = Callable[[], list[Any]]  # makes what unittest.mock.patch.object or patch.dict returns


@dataclass(frozen=True)
class Mistake:
    """One wrong line.

    ``case``: the golden case that shows it. ``first_wrong``: the first official tensor that it moves.
    ``alone``: cached steps continue by themselves (the mistake is in the continuing).
    """

    name: str
    case: str
    first_wrong: str
    patches: Patches
    alone: bool = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The package with this mistake in it, until the block ends."""
        with ExitStack() as stack:
            for change in self.patches():
                stack.enter_context(change)
            yield


def mistake(name: str) -> AbstractContextManager[None]:
    """The package with the mistake called ``name`` in it, until the ``with`` block ends.

    Raises:
        InputError: there is no such mistake; the message lists them.
    """
    for entry in MISTAKES:
        if entry.name == name:
            return entry.applied()
    raise InputError(f"There is no mistake {name!r}. There are: {', '.join(entry.name for entry in MISTAKES)}.")


# How a mistake is planted: a function exchanged, a table's entry exchanged, an option of the family's column changed.


def _swap(target: object, attribute: str, new: object) -> Patches:
    return lambda: [patch.object(target, attribute, new)]


def _residual(rule: Callable[[Tensor, Tensor, Tensor, float], Tensor], name: str = "scaled_post_norm") -> Patches:
    return lambda: [patch.dict(residual.RESIDUALS, {name: rule})]


def _option(layout: str, **options: object) -> Patches:
    return lambda: [patch.dict(FAMILIES[layout], options)]


def _rows_of(official: str, *parts: str) -> Patches:
    """The rows of a fused feed-forward matrix of ChatGLM2-6B read as those of ``parts``, in this order."""
    names = tuple(f"blocks.{{i}}.feedforward.{part}" for part in parts)
    return lambda: [patch.dict(name_maps.TABLES["chatglm2"], {official: names})]


def _glm_positions(change: Callable[[Tensor, Tensor], Tensor]) -> Patches:
    """``change(ids, positions)`` spoils the position ids [b 2 s] of a prompt."""

    def wrong(ids: Tensor, keep: Tensor, config: ModelConfig) -> tuple[Tensor, Tensor]:
        position_ids, clocks = positions.glm_positions(ids, keep, config)
        return change(ids, position_ids), clocks

    return _swap(transformer, "glm_positions", wrong)


def _scores(scale: Callable[[int, int], tuple[float, float]]) -> Patches:
    """Scores whose query is divided, and whose result is multiplied, by ``scale(head_dim, layer)``."""

    def wrong(query: Tensor, key: Tensor, mask: Tensor | None, mask_value: float = -math.inf, layer: int = 1) -> Tensor:
        divide, multiply = scale(query.shape[-1], layer)
        scores = (query / divide) @ key.transpose(-1, -2)
        return (scores if mask is None else scores.masked_fill(~mask, mask_value)).float() * multiply

    return _swap(attention, "attention_scores", wrong)


def _build(change: Callable[[Transformer], None]) -> Patches:
    """Spoil each network as it is built."""
    original = Transformer.__init__

    def build(self: Transformer, config: ModelConfig) -> None:
        original(self, config)
        change(self)

    return _swap(Transformer, "__init__", build)


def _positions_keep_counting(ids: Tensor, position_ids: Tensor) -> Tensor:
    return torch.stack([torch.arange(ids.shape[1]).expand_as(ids), position_ids[:, 1]], dim=1)


def _block_from_zero(ids: Tensor, position_ids: Tensor) -> Tensor:
    return torch.stack([position_ids[:, 0], (position_ids[:, 1] - 1).clamp(min=0)], dim=1)


def _positions_from_one(ids: Tensor, position_ids: Tensor) -> Tensor:
    return position_ids + torch.tensor([1, 0])[:, None]


def _behind_the_prefix(ids: Tensor, position_ids: Tensor) -> Tensor:
    return position_ids + torch.tensor([8, 0])[:, None]  # the case has a prefix of 8


def _swapped_channels(config: ModelConfig, position_ids: Tensor, dtype: torch.dtype) -> rotary.Angles:
    return rotary.angle_table(config, position_ids.flip(1), dtype)


def _mask_before_gmask(ids: Tensor, config: ModelConfig) -> Tensor:
    mask, gmask = positions.first_index(ids, config.mask_id), positions.first_index(ids, config.gmask_id)
    return torch.where(mask >= 0, mask, gmask)


def _bos_joins(context: Tensor, length: int) -> Tensor:
    return masks.prefix_mask(context + 1, length)


def _rotate_the_other_way(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([second, -first], dim=-1)


def _restart(last: Tensor, keep: Tensor, config: ModelConfig) -> tuple[Tensor, Tensor]:
    return positions.next_positions(torch.full_like(last, -1), keep, config)


def _tile_groups(x: Tensor, heads: int) -> Tensor:
    return x.repeat(1, heads // x.shape[1], 1, 1)


def _exponent_over_head(rotary_dim: int, base: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return 1.0 / base ** (torch.arange(0, rotary_dim, 2, dtype=dtype) / (2 * rotary_dim))


def _gate_the_wrong_half(self: feedforward.FeedForward, x: Tensor) -> Tensor:
    assert self.gate is not None
    return self.taps["output"](self.down(self.gate(x) * feedforward.ACTIVATIONS[self.activation](self.up(x))))


def _eps_outside_the_root(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    wide = x.float()
    return (wide / (wide.pow(2).mean(-1, keepdim=True).sqrt() + eps) * weight).to(x.dtype)


def _variance_of_a_sample(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() * weight + bias


def _mean_kept(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return norms.rms_norm(x, weight, eps) + bias


def _over_the_tokens(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-2, keepdim=True)
    return centred * torch.rsqrt(centred.pow(2).mean(-2, keepdim=True) + eps) * weight + bias


def _table_in_float32(layout: str) -> Patches:
    """The angle table of one family computed in float32 and rounded at the end, whatever the model's dtype."""
    original = rotary.angle_table

    def wrong(config: ModelConfig, position_ids: Tensor, dtype: torch.dtype) -> rotary.Angles:
        config = replace(config, rotary_angles="float32") if config.layout == layout else config
        config = replace(config, rotary_frequencies="float32") if config.rotary_frequencies == "model" else config
        return original(config, position_ids, dtype)

    return lambda: [patch.object(rotary, "angle_table", wrong), patch.object(transformer, "angle_table", wrong)]


def _mask_after_unscaling(
    query: Tensor, key: Tensor, mask: Tensor | None, mask_value: float = -math.inf, layer: int = 1
) -> Tensor:
    scores = attention_scores(query, key, None, mask_value, layer)
    return scores if mask is None else scores.masked_fill(~mask, mask_value)


def _offset_ignores_the_cache(queries: int, keys: int) -> Tensor:
    return torch.arange(keys) <= torch.arange(queries)[:, None]


def _pad_rows_stay_hidden(mask: Tensor, keep: Tensor, pad_rows: bool | None = None) -> Tensor:
    return masks.hide_padding(mask, keep, False)


def _padding_counted(keep: Tensor) -> Tensor:
    return torch.arange(keep.shape[1]).expand_as(keep)


def _mean_over_ignored(logits: Tensor, labels: Tensor) -> Tensor:
    return next_token_loss(logits, labels) * (labels[:, 1:] != IGNORED_LABEL).float().mean()


def _key_and_value_swapped(self: prefix.PrefixEncoder, batch: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    return [(value, key) for key, value in _prefix_forward(self, batch, dtype)]


def _no_future_hidden(queries: int, keys: int) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool)


def _skip_final_norm(model: Transformer) -> None:
    model.final_norm.forward = lambda x: x  # type: ignore[union-attr, method-assign]


def _tie_head(model: Transformer) -> None:
    model.head.forward = lambda x: F.linear(x, model.embedding.weight)  # type: ignore[union-attr, method-assign]


def _unshifted_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def _largest_of_all(weight: Tensor) -> Tensor:
    return weight.abs().max().expand(len(weight))


def _rounded_down(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    scale = weight.abs().amax(dim=1) / weights.LIMITS[bits]  # o
    divisor = scale.where(scale > 0, 1)[:, None]  # o 1
    return (weight / divisor).floor().to(torch.int8), scale


def _halves_swapped(numbers: Tensor) -> Tensor:
    return (numbers[:, 1::2] << 4) | (numbers[:, ::2] & 15)


def _sign_lost(packed: Tensor) -> Tensor:
    return torch.stack([packed >> 4 & 15, packed & 15], dim=-1).flatten(1)


_prefix_forward = prefix.PrefixEncoder.forward
_swapped_prefix = _swap(prefix.PrefixEncoder, "forward", _key_and_value_swapped)
_wrong_gate = _swap(feedforward.FeedForward, "forward", _gate_the_wrong_half)
_FUSED = "transformer.encoder.layers.{i}.mlp.dense_h_to_4h"  # its rows are read gate first
_no_ratio = _swap(ModelConfig, "rope_ratio", property(lambda c: 1.0, lambda c, v: None))
_own_alpha = _swap(ModelConfig, "alpha", property(lambda c: math.sqrt(2 * c.num_layers)))
_V1, _V2, _PIECES = "chatglm1_gmask", "chatglm2_prefill", "components"
_KEY, _PROBS, _MIDDLE = "blocks.0.attention.key", "blocks.0.attention.probs", "blocks.0.middle"
_NORM, _FEEDFORWARD = "blocks.0.input_norm", "blocks.0.feedforward.output"

# The name, the case that shows it, the first tensor that it moves, how it is planted.
MISTAKES: tuple[Mistake, ...] = (
    # who stands where, who sees whom
    Mistake("bos joins the prefix", _V1, "mask", _swap(transformer, "prefix_mask", _bos_joins)),
    Mistake("causal mask for a prefix mask", _V1, "mask", _option("chatglm", mask="causal")),
    Mistake("nothing hidden", _V2, "mask", _swap(transformer, "causal_mask", _no_future_hidden)),
    Mistake("causal offset ignores the cache", _PIECES, "mask.past3",
            _swap(transformer, "causal_mask", _offset_ignores_the_cache)),
    Mistake("pad rows see nothing", _PIECES, "mask.nopast", _swap(transformer, "hide_padding", _pad_rows_stay_hidden)),
    Mistake("positions keep counting after bos", _V1, "position_ids", _glm_positions(_positions_keep_counting)),
    Mistake("block positions start at 0 on bos", _V1, "position_ids", _glm_positions(_block_from_zero)),
    Mistake("positions from 1, as in the paper", _V1, "position_ids", _glm_positions(_positions_from_one)),
    Mistake("the prefix takes positions", "chatglm1_ptuning_embed", "position_ids",
            _glm_positions(_behind_the_prefix)),
    Mistake("[MASK] before [gMASK]", "chatglm1_mask", "position_ids",
            _swap(positions, "mask_index", _mask_before_gmask)),
    Mistake("padding counted in positions", "chatglm2_batch", "position_ids",
            _swap(transformer, "sequential_positions", _padding_counted), alone=True),
    Mistake("cached steps start at 0 again", "chatglm2_decode", "position_ids",
            _swap(transformer, "next_positions", _restart), alone=True),
    # rotary
    Mistake("position channels swapped", _V1, _KEY, _swap(transformer, "angle_table", _swapped_channels)),
    Mistake("halves swapped", _V1, _KEY, lambda: [patch.dict(rotary.ROTATE, half=_rotate_the_other_way)]),
    Mistake("pairs for halves", _V1, _KEY, _option("chatglm", rotary_pairing="pairs")),
    Mistake("halves for pairs", _V2, _KEY, _option("chatglm2", rotary_pairing="half")),
    Mistake("whole head rotated", _V2, _KEY, _option("chatglm2", rotary_fraction=1.0)),
    Mistake("exponent over the head instead of its rotated part", _V2, _KEY,
            _swap(rotary, "inverse_frequencies", _exponent_over_head)),
    Mistake("inverse frequencies not rounded to float16", _V1, _KEY, _option("chatglm", rotary_frequencies="float32")),
    Mistake("ChatGLM-6B's half table computed in float32", _PIECES, "half.cos", _table_in_float32("chatglm")),
    Mistake("ChatGLM3-6B's table in ChatGLM2-6B", _PIECES, "rotary.v2.fp16", _table_in_float32("chatglm2")),
    Mistake("rope_ratio ignored", "glm4_remote_prefill", _KEY, _no_ratio),
    # attention
    Mistake("per-head query, key, value read as blocks", _V1, _KEY, _option("chatglm", fused_rows="blocks")),
    Mistake("groups tiled instead of repeated", _V2, _PROBS, _swap(attention, "expand_groups", _tile_groups)),
    Mistake("scores not divided by sqrt(d)", _V1, _PROBS, _scores(lambda d, layer: (layer, layer))),
    Mistake("scores divided by d", _V2, _PROBS, _scores(lambda d, layer: (d * layer, layer))),
    Mistake("layer factor not undone", _V1, "blocks.1.attention.probs",
            _scores(lambda d, layer: (math.sqrt(d) * layer, 1))),
    Mistake("mask set after the layer factor is undone", _PIECES, "l1.hidden_scores",
            _swap(attention, "attention_scores", _mask_after_unscaling)),
    Mistake("prefix keys and values swapped", "chatglm1_ptuning_embed", _KEY, _swapped_prefix),
    # residual, norm, feed-forward
    Mistake("alpha from num_layers", _V1, _MIDDLE, _own_alpha),
    Mistake("alpha on f instead of norm", _V1, _MIDDLE, _residual(lambda x, normed, out, alpha: normed + alpha * out)),
    Mistake("no alpha", _V1, _MIDDLE, _residual(residual.post_norm)),
    Mistake("residual from x instead of norm(x)", _V1, _MIDDLE,
            _residual(lambda x, normed, out, alpha: alpha * x + out)),
    Mistake("residual from norm(x) instead of x", _V2, _MIDDLE, _residual(residual.post_norm, "pre_norm")),
    Mistake("eps outside the root", _PIECES, "rmsnorm.fp32.out",
            lambda: [patch.dict(norms.RMS_NORMS, rmsnorm=_eps_outside_the_root)]),
    Mistake("weight multiplied after the cast", _PIECES, "rmsnorm.fp16.out",
            lambda: [patch.dict(norms.RMS_NORMS, rmsnorm=norms.rms_norm_cast_first)]),
    Mistake("variance over h - 1", _V1, _NORM, _swap(norms, "layer_norm", _variance_of_a_sample)),
    Mistake("mean kept in LayerNorm", _V1, _NORM, _swap(norms, "layer_norm", _mean_kept)),
    Mistake("normalized over the tokens", _V1, _NORM, _swap(norms, "layer_norm", _over_the_tokens)),
    Mistake("erf for tanh", _V1, _FEEDFORWARD, _option("chatglm", activation="gelu")),
    Mistake("erf for tanh, alone", _PIECES, "gelu",
            lambda: [patch.dict(activations.ACTIVATIONS, gelu_tanh=activations.gelu_exact)]),
    Mistake("activation on up instead of gate", _V2, _FEEDFORWARD, _wrong_gate),
    Mistake("gate and up rows swapped at loading", _V2, _FEEDFORWARD, _rows_of(_FUSED, "up", "gate")),
    # the top
    Mistake("final norm skipped", _V1, "final_norm", _build(_skip_final_norm)),
    Mistake("head tied to the embedding", _V1, "logits", _build(_tie_head)),
    Mistake("labels not shifted", _V2, "loss", _swap(ladder, "next_token_loss", _unshifted_loss)),
    Mistake("loss averaged over ignored labels too", _PIECES, "loss",
            _swap(loss, "next_token_loss", _mean_over_ignored)),
    # quantized weights
    Mistake("one scale for the whole matrix", _PIECES, "int8.weight",
            _swap(weights, "largest_of_rows", _largest_of_all)),
    Mistake("rounded down", _PIECES, "int8.weight", _swap(weights, "quantize_rows", _rounded_down)),
    Mistake("int4 halves swapped", _PIECES, "int4.weight", _swap(weights, "pack_int4", _halves_swapped)),
    Mistake("int4 without its sign", _PIECES, "int4.fp32.linear_out", _swap(linear, "unpack_int4", _sign_lost)),
)  # fmt: skip
