"""What the capstone looks at in any model, as plain data: a lens in words, heads that do one thing, their maps.

A 6B has 28 * 32 maps and a vocabulary of 130,528; what is kept here is small enough to be drawn, and to be stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.generate import generate
from glm_edu.lens import Reading, likeliest, read, stream_names
from glm_edu.model.transformer import Transformer
from glm_edu.record import record
from glm_edu.text.tokenizer import Tokenizer

PART = "▯"  # a piece of a character: bytes that are no text by themselves
NOTHING = "▁"  # a piece that leaves no text, such as SentencePiece's blank before a text
_NAMED = {"mask_id": "[MASK]", "gmask_id": "[gMASK]", "sop_id": "sop", "eop_id": "eop", "pad_id": "pad"}


def token_names(tok: Tokenizer, ids: Sequence[int]) -> list[str]:
    """Each id as one would print it; special tokens by name, ids without a piece by number."""
    named = {getattr(tok, attribute, None): name for attribute, name in _NAMED.items()}
    named |= {number: name for name, number in getattr(tok, "special_ids", {}).items()}

    def name(i: int) -> str:
        text = tok.decode([i]) if i < tok.vocab_size else f"#{i}"
        return named.get(i) or (PART if "\ufffd" in text else text or NOTHING)

    return [name(i) for i in ids]


def answered(model: Transformer, tok: Tokenizer, text: str, new: int = 4) -> Int[Tensor, "1 s"]:
    """The ids of ``text`` and the ``new`` likeliest tokens behind it."""
    ids = torch.tensor([tok.encode(text)], device=model.embedding.weight.device)  # 1 s
    return generate(model, ids, max_new_tokens=new, stop_ids=())


@torch.no_grad()
def read_answer(
    model: Transformer, tok: Tokenizer, text: str, new: int = 4, columns: int = 8, rows: int = 11
) -> Reading:  # fmt: skip
    """The lens over the end of a prompt and the beginning of the model's own answer, at about ``rows`` depths."""
    ids = answered(model, tok, text, new)
    streams = stream_names(model)
    last = len(streams) - 1
    depths = sorted({*range(0, last, ceil(last / (rows - 1))), last})
    with record(model, [streams[i] for i in depths]) as seen:
        model(ids)
    logits = torch.cat([read(model, stream[:, -columns:]) for stream in seen.values()])  # l s v
    cells = likeliest(logits, lambda i: token_names(tok, [i])[0])
    names = ["embedding" if i == 0 else f"block {i - 1}" for i in depths]
    return Reading(names, token_names(tok, ids[0, -columns:].tolist()), cells)


@dataclass(frozen=True)
class Head:
    """A head that does one thing more than any other head of its model, and its map over one text."""

    does: str
    block: int
    head: int
    share: float  # the mean weight that it gives to what it looks at
    probs: Float[Tensor, "q k"]

    @property
    def name(self) -> str:
        """Its number, as maps of several blocks name heads: 3.1 is head 1 of block 3."""
        return f"{self.block}.{self.head}"


@torch.no_grad()
def find_heads(model: Transformer, ids: Int[Tensor, "1 s"]) -> list[Head]:
    """The head that looks most at the token before, at the first token, and, where the mask allows it, ahead."""
    with record(model, "blocks.*.attention.probs") as seen:
        model(ids)
    probs = torch.stack([seen[name][0] for name in seen]).float().cpu()  # L n q k
    queries = probs.shape[-2]
    shares: Mapping[str, Tensor] = {
        "the token before": probs.diagonal(-1, -2, -1).mean(-1),  # L n
        "the first token": probs[:, :, 1:, 0].mean(-1),
        "tokens ahead": probs.triu(1).sum((-1, -2)) / queries,
    }
    found = []
    for does, share in shares.items():
        block, head = divmod(int(share.argmax()), probs.shape[1])
        if (most := float(share.max())) > 0:
            found.append(Head(does, block, head, most, probs[block, head]))
    return found


def shape_of(letters: str, config: ModelConfig, tokens: int, batch: int = 1) -> tuple[int, ...]:
    """The shape that a recorded tensor has in a model of ``config``, from its letters: nothing is built or run."""
    sizes = {
        "b": batch, "s": tokens, "q": tokens, "k": tokens, "h": config.hidden_size, "n": config.num_heads,
        "g": config.num_kv_groups, "d": config.head_dim, "f": config.feedforward_size, "v": config.vocab_size,
    }  # fmt: skip
    axes = [axis.split("*") for axis in letters.split()]  # n*d: the heads side by side
    return tuple(prod(int(factor) if factor.isdigit() else sizes[factor] for factor in axis) for axis in axes)


def generation(config: ModelConfig) -> str:
    """The preset whose kind of network this is, whatever its sizes; LLaMA's for all that is not ChatGLM."""
    if config.layout == "chatglm2":
        return "chatglm3-6b" if config.rotary_angles == "float32" else "chatglm2-6b"
    return {"chatglm": "chatglm-6b"}.get(config.layout, "llama-7b")
