"""Bytes and floating-point operations of a model, computed from its config: nothing is built, nothing is run.

A multiplication and the addition that follows it are two operations, as PyTorch's counter has it. Matrix products are
counted and nothing else: norms, rotary, activations and softmax are thousands of times fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

from glm_edu.config import ModelConfig


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of one pass: of the linears, of scores and averages, of the head."""

    linears: int
    attention: int
    head: int

    @property
    def total(self) -> int:
        return self.linears + self.attention + self.head


def linear_shapes(config: ModelConfig) -> list[tuple[int, int]]:
    """(outputs, inputs) of every linear of one block."""
    h, f, d = config.hidden_size, config.feedforward_size, config.head_dim
    q, kv = config.num_heads * d, config.num_kv_groups * d
    widening = [(f, h)] * (2 if config.feedforward == "gated" else 1)
    return [(q, h), (kv, h), (kv, h), (h, q), *widening, (h, f)]


def cache_bytes(
    config: ModelConfig, tokens: int, batch: int = 1, element_size: int = 2
) -> int:  # fmt: skip
    """Bytes of the keys and values of ``tokens`` tokens a row (a P-tuning prefix counts as tokens)."""
    vectors = 2 * config.num_layers * config.num_kv_groups  # a key and a value each
    return vectors * config.head_dim * element_size * tokens * batch


def weight_bytes(config: ModelConfig, element_size: int = 2, linear_bits: int | None = None) -> int:
    """Bytes of the weights, without a P-tuning prefix.

    ``linear_bits`` 8 or 4: the linears of the blocks are quantized as in the official scheme, so many bits an entry and
    one scale a row; biases, norms, embedding and head keep ``element_size``.
    """
    plain = config.parameter_count * element_size
    if linear_bits is None:
        return plain
    shapes = linear_shapes(config) * config.num_layers
    entries, rows = sum(out * into for out, into in shapes), sum(out for out, _ in shapes)
    return plain - entries * element_size + entries * linear_bits // 8 + rows * element_size


def forward_flops(
    config: ModelConfig, new: int, past: int = 0, batch: int = 1, logits: int | None = None
) -> Flops:  # fmt: skip
    """Operations of a pass over ``new`` tokens a row behind ``past`` cached ones (the P-tuning prefix included).

    Scores are counted for every pair of a new token and a key, hidden ones too: a mask overwrites them, it does not
    save them. ``logits`` is how many tokens a row get logits; None: all new ones.
    """
    linears = 2 * sum(out * into for out, into in linear_shapes(config)) * new
    attention = 2 * 2 * config.num_heads * config.head_dim * new * (past + new)  # query @ key, then probs @ value
    head = 2 * config.vocab_size * config.hidden_size * (new if logits is None else logits)
    return Flops(batch * config.num_layers * linears, batch * config.num_layers * attention, batch * head)
