"""The logit lens: read the stream of any block as if it were the last one, with the final norm and the head.

nostalgebraist 2020, "interpreting GPT: the logit lens" (a blog post). The head was trained on what the final norm
gives, so the norm belongs to the reading. It takes its statistics from the vector that is read, not from the last one.

What the norm meets differs. In ChatGLM2-6B and LLaMA the stream is the sum of all that was ever added, and grows with
depth. In ChatGLM-6B it is alpha * norm(x) + f(norm(x)), about alpha times as long as what any sub-layer reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.inputs import Ids
from glm_edu.model.transformer import Transformer
from glm_edu.record import record

Guesses = Sequence[tuple[str, float]]  # tokens with their probabilities, the likeliest first


@dataclass(frozen=True)
class Reading:
    """What a lens read, in words: the likeliest tokens of each cell, a list a row. Small enough to be stored."""

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Guesses]]


def stream_names(model: Transformer) -> list[str]:
    """Where the stream is read: before the first block, and behind each."""
    return ["embedding", *(f"blocks.{i}.output" for i in range(model.config.num_layers))]


@torch.no_grad()
def read(model: Transformer, stream: Float[Tensor, "b s h"]) -> Float[Tensor, "b s v"]:
    """The logits if ``stream`` came out of the last block. Of the last block's own stream: the model's, bit for bit."""
    if model.final_norm is not None:
        stream = model.final_norm(stream)  # b s h
    return model._logits(stream)  # b s v


@torch.no_grad()
def lens(model: Transformer, input_ids: Ids) -> Float[Tensor, "l b s v"]:
    """What every stream reads as: row 0 the embedding, row i what block i - 1 leaves. The last row is the logits."""
    names = stream_names(model)
    with record(model, names) as seen:
        model(input_ids)
    return torch.stack([read(model, seen[name]) for name in names])  # l b s v


def likeliest(logits: Float[Tensor, "l s v"], name: Callable[[int], str], first: int = 3) -> list[list[Guesses]]:
    """The ``first`` tokens of each place with their probabilities; ``name`` gives a token's text."""
    values, ids = logits.detach().double().softmax(-1).topk(min(first, logits.shape[-1]))  # l s first
    return [
        [[(name(i), p) for i, p in zip(*cell, strict=True)] for cell in zip(*row, strict=True)]
        for row in zip(ids.tolist(), values.tolist(), strict=True)
    ]
