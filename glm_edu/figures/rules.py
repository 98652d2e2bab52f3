"""The rules behind the mask painter: what live.js computes under a slider, and how to read a rule off tensors."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.model.masks import causal_mask, prefix_mask

RULES = ("prefix", "causal", "sop_joins_prefix")


def rule_mask(rule: str, context: int, length: int, pads: int = 0) -> Bool[Tensor, "q k"]:
    """What a rule lets be seen: the twin of ``glm.maskOf`` in live.js; a browser test compares the two.

    ``context`` is the index of sop, counted from the left with padding. ``sop_joins_prefix`` is the mistake of writing
    ``<=`` for ``<``. Padding on the left is seen by nobody and sees nothing. Raises InputError for another rule.
    """
    if rule not in RULES:
        raise InputError(f"unknown rule {rule!r}; it is one of {', '.join(RULES)}.")
    joins = rule == "sop_joins_prefix"
    seen = causal_mask(length, length) if rule == "causal" else prefix_mask(context + joins, length)  # q k
    real = torch.arange(length) >= pads  # s
    return seen & real & real[:, None]  # q k


def rule_positions(
    context: int, length: int, pads: int = 0, anchor: int | None = None, channels: int = 2
) -> Int[Tensor, "c s"]:
    """The clocks for sop at index ``context``: the twin of ``glm.positions`` in live.js.

    Two channels, ChatGLM-6B: position counts the context and then stands still, at the last context token, or at
    ``anchor`` where the mask token stands inside the text; block is 0 in the context and counts 1, 2, 3 from sop on.
    One channel, ChatGLM2-6B: position counts every token. Padding on the left has 0 everywhere.
    """
    index = torch.arange(length)  # s
    if channels == 1:
        return (index - pads).clamp(min=0)[None]  # c s
    last = max(context - 1 - pads, 0)
    stop = last if anchor is None else min(anchor, last)
    position = torch.where(index < context, index - pads, stop)  # s
    return torch.stack([position, index - context + 1]).clamp(min=0)  # c s


def slide(tokens: Sequence[str], start: int, to: int) -> list[str]:
    """The pair (mask token, sop) taken from ``start - 1, start`` and put where the context now ends: as in live.js."""
    pair = list(tokens[start - 1 : start + 1])
    rest = [*tokens[: start - 1], *tokens[start + 1 :]]
    return [*rest[: to - 1], *pair, *rest[to - 1 :]]


def find_rule(mask: Bool[Tensor, "q k"], rules: Sequence[str], context: int, pads: int) -> str | None:
    """The first of ``rules`` that gives exactly this mask."""
    return next((rule for rule in rules if torch.equal(rule_mask(rule, context, len(mask), pads), mask)), None)


def find_context(mask: Bool[Tensor, "q k"], clocks: list[list[int]], rules: Sequence[str], pads: int) -> int:
    """Where sop stands: where the block clock starts, else where the mask stops being open to all.

    A causal mask does not tell, nor one without a rule: then the middle, where a switch to prefix shows a difference.
    """
    length = len(mask)
    if len(clocks) == 2:
        return next((i for i, block in enumerate(clocks[1]) if block), length)
    if torch.equal(rule_mask("causal", 0, length, pads), mask):
        return length // 2
    return next((c for c in range(pads, length + 1) if find_rule(mask, rules, c, pads)), length // 2)


def find_anchor(clocks: list[list[int]], context: int) -> int | None:
    """Where the position clock stops: an index ([MASK] inside the text), or None for the last context token."""
    if len(clocks) < 2 or not 0 < context < len(clocks[0]):
        return None
    stop, last = clocks[0][context], clocks[0][context - 1]
    return None if stop == last else stop
