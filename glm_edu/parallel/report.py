"""What one rank can say about its part of a model: what it holds, what it sends, and what the whole model answers."""

from __future__ import annotations

from os import PathLike
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from glm_edu.generate import generate
from glm_edu.model.cache import KVCache
from glm_edu.parallel.load import load_parallel
from glm_edu.parallel.sent import count_sent


def held_bytes(model: nn.Module) -> int:
    """Bytes of the parameters that this rank holds, of cut ones its piece."""
    return sum((p.to_local() if isinstance(p, DTensor) else p).nbytes for p in model.parameters())


def report(
    path_or_hub_id: str | PathLike[str], input_ids: Int[Tensor, "b s"], max_new_tokens: int = 20,
    attention_mask: Tensor | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Load, read a prompt, decode one token, write; the same call on every rank.

    Returns:
        ``held`` (bytes of weights), ``cache`` (bytes of keys and values of the prompt), ``logits`` [b s v] of the
        prompt, ``next_logits`` [b 1 v] after its likeliest continuation, ``ids`` [b t] that greedy ``generate`` gives,
        ``sent`` and ``calls`` by collective, for the decoded token.
    """
    model, cache = load_parallel(path_or_hub_id), KVCache(block=1)
    with torch.no_grad():
        logits = model(input_ids, attention_mask=attention_mask, cache=cache)  # b s v
        held = sum(x.nbytes for x in (*cache.keys, *cache.values))
        with count_sent() as sent:
            next_logits = model(logits[:, -1:].argmax(-1), cache=cache)  # b 1 v
    return {
        "held": held_bytes(model), "cache": held, "logits": logits, "next_logits": next_logits,
        "ids": generate(model, input_ids, max_new_tokens, stop_ids=(), attention_mask=attention_mask),
        "sent": dict(sent.bytes), "calls": dict(sent.calls),
    }  # fmt: skip
