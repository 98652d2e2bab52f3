"""The transformer: embedding -> blocks -> final norm -> logits, for every column of the family table.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), ChatGLMModel and ChatGLMForConditionalGeneration; (ChatGLM2-6B
rev 1fd8e8d), GLMTransformer and ChatGLMModel; modeling_llama.py (transformers 5.23.0), LlamaModel.
Differs: batch first throughout; positions and masks follow from the ids (and the cache) in one place; the rotary angles
are computed once a forward pass, not once a layer; a sequence longer than the model's limit is an error.
"""

from __future__ import annotations

import math
from functools import partial
from os import PathLike

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glm_edu.config import ModelConfig
from glm_edu.inputs import Ids, Keep, check_cache, check_ids, check_positions, kept_tokens
from glm_edu.linear import Linear, linear
from glm_edu.model.attention import Extend, Mask, Pair
from glm_edu.model.block import Block
from glm_edu.model.cache import KVCache
from glm_edu.model.masks import causal_mask, hide_padding, prefix_mask, show_prefix
from glm_edu.model.norms import Norm
from glm_edu.model.positions import bos_index, glm_positions, next_positions, sequential_positions
from glm_edu.model.prefix import PrefixEncoder
from glm_edu.model.rotary import angle_table
from glm_edu.model.tap import Tap


class Transformer(nn.Module):
    """The network of ``config``, with random weights that train; ``from_pretrained`` fills it with official ones."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.num_layers))
        self.final_norm = Norm(config.norm, config.hidden_size, config.norm_eps) if config.final_norm else None
        self.head = None if config.tied_head else Linear(config.hidden_size, config.vocab_size, bias=False)
        self.prefix = PrefixEncoder(config) if config.prefix_length else None
        self.gradient_checkpointing = False
        clocks = "b 2 s" if config.rotary_channels == 2 else "b s"
        self.taps = {
            "position_ids": Tap("position_ids", clocks, "where each token stands; two clocks in ChatGLM-6B"),
            "mask": Tap("mask", "b 1 q k", "who may look at whom, True = visible"),
            "embedding": Tap("embedding", "b s h", "one row of the table for each token"),
            "final_norm": Tap("final_norm", "b s h", "normalized once more, what the head reads"),
            "logits": Tap("logits", "b s v", "a score for every token of the vocabulary"),
        }
        self.apply(_init_weights)

    def forward(
        self, input_ids: Ids, attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None, cache: KVCache | None = None, last_only: bool = False,
    ) -> Float[Tensor, "b t v"]:  # fmt: skip
        """Logits of the next token at every position.

        Args:
            input_ids: [b s]; with a cache, the new tokens only.
            attention_mask: [b t], 1 = keep, over cached and new tokens; None keeps what the cache kept, and the new.
            position_ids: [b s] ([b 2 s] with two clocks); None: what the official model and tokenizer compute, going
                on from the cache.
            cache: filled by the call.
            last_only: [b 1 v], the logits that a next token is chosen from; a long prompt's others fill gigabytes.

        Raises:
            InputError: ids, mask, positions or cache that cannot be right; it says which and what was expected.
        """
        past, tap = (0 if cache is None else cache.tokens), self.taps
        check_ids(input_ids, self.config, past)
        if cache is not None and cache.length:
            check_cache(cache.keys, cache.prefix_length, self.config, batch=input_ids.shape[0])
        keep = kept_tokens(input_ids, attention_mask, cache.keep if cache else None, past)
        position_ids, clocks = self._positions(input_ids, keep, position_ids, cache)
        position_ids = tap["position_ids"](position_ids)
        mask = self._mask(input_ids, keep, past)
        x = tap["embedding"](self.embedding(input_ids))  # b s h
        angles = angle_table(self.config, position_ids, x.dtype)
        for block, extend in zip(self.blocks, self._extensions(x, cache), strict=True):
            x = self._run(block, cache is not None, x, angles, mask, extend)
        if self.final_norm is not None:
            x = tap["final_norm"](self.final_norm(x))  # b s h
        logits = tap["logits"](self._logits(x[:, -1:] if last_only else x))  # b s v
        if cache is not None:
            cache.advance(input_ids.shape[1], self.config.prefix_length)
            cache.keep, cache.clocks = (None if keep.all() else keep), clocks
        return logits

    def _logits(self, x: Float[Tensor, "b s h"]) -> Float[Tensor, "b s v"]:
        return linear(x, self.embedding.weight) if self.head is None else self.head(x)

    def _run(self, block: nn.Module, cached: bool, *inputs: object) -> Float[Tensor, "b s h"]:
        if self.gradient_checkpointing and self.training and not cached and not _watched(block):
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    def _positions(
        self, ids: Ids, keep: Keep, given: Tensor | None, cache: KVCache | None
    ) -> tuple[Int[Tensor, "b *c s"], Int[Tensor, " b *c"]]:
        """Position ids of the new tokens, and the clocks after them."""
        if given is not None:
            check_positions(given, ids, self.config)
            new = keep[:, -ids.shape[1] :]  # b s
            last = new.shape[1] - 1 - new.flip(-1).int().argmax(-1)  # b   the last token that is no padding
            return given, given[torch.arange(len(ids), device=ids.device), ..., last]
        if cache is not None and cache.tokens and cache.clocks is not None:
            return next_positions(cache.clocks, keep[:, cache.tokens :], self.config)
        if self.config.positions == "glm":
            return glm_positions(ids, keep, self.config)
        return sequential_positions(keep), keep.sum(-1) - 1  # -1: nothing but padding so far

    def _mask(self, ids: Ids, keep: Keep, past: int) -> Mask | None:
        """Who may look at whom; None where a causal mask says it all (or a single new token sees everything)."""
        new, prefix, padded = ids.shape[1], self.config.prefix_length, not bool(keep.all())
        bidirectional = self.config.mask == "prefix" and not past
        if not (bidirectional or padded or self.taps["mask"].watchers) and (new == 1 or not (past or prefix)):
            return None
        if bidirectional:
            mask = prefix_mask(bos_index(ids, self.config)[:, None, None], new)[:, None]  # b 1 q k
        else:
            mask = causal_mask(new, past + new).to(ids.device).expand(ids.shape[0], 1, -1, -1)  # b 1 q k
        if padded:
            pad_rows = False if prefix or math.isfinite(self.config.mask_value) else None if past else True
            mask = hide_padding(mask, keep, pad_rows)
        return self.taps["mask"](show_prefix(mask, prefix))

    def _extensions(self, x: Float[Tensor, "b s h"], cache: KVCache | None) -> list[Extend | None]:
        """For each layer, what puts the earlier keys and values in front of the new ones."""
        extensions: list[Extend | None] = [None] * len(self.blocks)
        if cache is not None:
            extensions = [partial(cache.append, layer) for layer in range(len(self.blocks))]
        if self.prefix is None or (cache is not None and cache.length):
            return extensions
        prefix = self.prefix(x.shape[0], x.dtype)
        return [partial(_prepend, pair, then) for pair, then in zip(prefix, extensions, strict=True)]

    @property
    def eager_attention(self) -> bool:
        """True: always the attention path that keeps the maps, in the official order of operations."""
        return all(block.attention.eager for block in self.blocks)  # type: ignore[union-attr]

    @eager_attention.setter
    def eager_attention(self, eager: bool) -> None:
        for block in self.blocks:
            block.attention.eager = eager  # type: ignore[union-attr]

    @classmethod
    def from_pretrained(
        cls, path_or_hub_id: str | PathLike[str], dtype: torch.dtype | str | None = None,
        device: str | torch.device = "cpu", revision: str | None = None, quantize: str | None = None,
    ) -> Transformer:  # fmt: skip
        """The model of an official directory (or hub id), every tensor accounted for. See ``glm_edu.checkpoints``."""
        from glm_edu.checkpoints import from_pretrained

        return from_pretrained(path_or_hub_id, dtype=dtype, device=device, revision=revision, quantize=quantize)

    def save_pretrained(
        self, path: str | PathLike[str], max_shard_size: str | int = "5GB", safe_serialization: bool = True
    ) -> None:
        """Write an official-layout directory. See ``glm_edu.checkpoints``."""
        from glm_edu.checkpoints import save_pretrained

        save_pretrained(self, path, max_shard_size=max_shard_size, safe_serialization=safe_serialization)


def _prepend(first: Pair, then: Extend | None, key: Tensor, value: Tensor) -> Pair:
    key, value = (torch.cat(both, dim=2) for both in zip(first, (key, value), strict=True))  # b g p+s d
    return (key, value) if then is None else then(key, value)


def _watched(block: nn.Module) -> bool:
    """Whether a recording is on. Checkpointing would run a second pass after it, and compute something else."""
    return any(tap.watchers for part in block.modules() for tap in getattr(part, "taps", {}).values())


def _init_weights(module: nn.Module) -> None:
    """Normal weights of deviation 0.02, zero biases: they train. The official ``_init_weights`` does nothing."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
