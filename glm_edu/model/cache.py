"""KV cache: the keys and values of the tokens so far, so that a new token costs one row of attention.

Official: ``past_key_values`` in every modeling_chatglm.py: tuples that are concatenated anew at each step, a copy of
the whole cache per token.
Differs: memory is taken in blocks and written in place; a block of 256 means that one step in 256 copies. The
concatenating cache stands beside it as the slow version. Layout [b g k d], keys after rotary, kv groups not expanded.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glm_edu.errors import InputError

New = Float[Tensor, "b g s d"]
Keys = Float[Tensor, "b g k d"]


class KVCache:
    """Filled by each call of the model; remembers padding and positions too, so that both continue by themselves.

    Attributes:
        length: cached keys, the P-tuning prefix included.
        prefix_length: how many of them are the prefix.
        keep: [b k] False on padded tokens (without the prefix), or None when nothing is padded.
        clocks: [b] or [b c], the positions that the next token goes on from.
    """

    def __init__(self, block: int = 256) -> None:
        if block < 1:
            raise InputError(f"block={block} must be at least 1.")
        self.block = block
        self.length = 0
        self.prefix_length = 0
        self.keep: Bool[Tensor, "b k"] | None = None
        self.clocks: Int[Tensor, " b *c"] | None = None
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    @property
    def tokens(self) -> int:
        """Cached tokens, without the prefix."""
        return self.length - self.prefix_length

    def append(self, layer: int, key: New, value: New) -> tuple[Keys, Keys]:
        """Write new keys and values of a layer behind the cached ones; return all of them, as views."""
        if layer == len(self.keys):
            self.keys.append(key.new_empty(0))
            self.values.append(value.new_empty(0))
        return self._write(self.keys, layer, key), self._write(self.values, layer, value)

    def advance(self, new: int, prefix: int = 0) -> None:
        """Count ``new`` tokens as cached, the first of them behind ``prefix`` learned keys.

        Called once all is done, so that a call that fails on the way leaves the cache as it was.
        """
        if not self.length:
            self.length = self.prefix_length = prefix
        self.length += new

    def _write(self, store: list[Tensor], layer: int, new: New) -> Keys:
        if self.length and store[layer].dtype != new.dtype:
            raise InputError(f"The cache holds {store[layer].dtype}, the model is {new.dtype}; begin a fresh one.")
        if new.requires_grad:  # autograd keeps what was read, so nothing may be written over
            return self._concatenate(store, layer, new)
        end = self.length + new.shape[2]
        frozen = store[layer].is_inference() and not torch.is_inference_mode_enabled()
        if not self.length or frozen or end > store[layer].shape[2]:
            batch, groups, _, head_dim = new.shape
            grown = new.new_empty(batch, groups, -(-end // self.block) * self.block, head_dim)  # b g capacity d
            if self.length:
                grown[:, :, : self.length] = store[layer][:, :, : self.length]
            store[layer] = grown
        store[layer].narrow(2, self.length, new.shape[2]).copy_(new)
        return store[layer].narrow(2, 0, end)  # b g k d

    def _concatenate(self, store: list[Tensor], layer: int, new: New) -> Keys:
        store[layer] = torch.cat([store[layer][:, :, : self.length], new], dim=2) if self.length else new
        return store[layer]


class ConcatenatingCache(KVCache):
    """The slow version: every step copies the whole cache. It gives the same numbers; the book shows what it costs."""

    def _write(self, store: list[Tensor], layer: int, new: New) -> Keys:
        return self._concatenate(store, layer, new)
