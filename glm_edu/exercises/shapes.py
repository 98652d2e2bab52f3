"""The exercises of chapter 0: predict shapes, split a stream into heads, find what is missing before the head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Verdict, run, same
from glm_edu.model.transformer import Transformer
from glm_edu.record import Row, Seen, record

# ---- 1. predict: six shapes of another column of the family, on another batch ----

BATCH, SEQUENCE = 3, 5
PREDICTED = (
    "embedding", "blocks.1.attention.query", "blocks.1.attention.key", "blocks.1.attention.probs",
    "blocks.1.feedforward.hidden", "logits",
)  # fmt: skip
MEANING = {
    "b": "the batch", "s": "the sequence", "q": "the queries, one a token", "k": "the keys, one a token",
    "h": "the hidden size", "n": "the heads", "g": "the key and value groups", "d": "the width of one head",
    "f": "the width of the feed-forward", "v": "the vocabulary",
}  # fmt: skip


def check_shapes(answer: object) -> Verdict:
    """Exercise 1: the shapes, name -> tuple, that tiny-chatglm2 makes of 3 sequences of 5 ids."""
    answer = {} if answer is None or answer is ... else answer
    if not isinstance(answer, Mapping):
        return Verdict(False, "not a dict", f"this is a {type(answer).__name__}; it should be a dict: name -> shape.")
    if missing := [name for name in PREDICTED if answer.get(name) is None or answer[name] is ...]:
        return Verdict(False, NOT_YET, f"there is no shape yet for {', '.join(missing)}.")
    config = ModelConfig.preset("tiny-chatglm2")
    with torch.random.fork_rng(), torch.no_grad(), record(model := Transformer(config), PREDICTED) as seen:
        model(torch.zeros(BATCH, SEQUENCE, dtype=torch.long))
    wrong = (_shape(row, answer[row.name], config) for row in seen.table())
    return next(filter(None, wrong), Verdict(True, "right", f"all {len(PREDICTED)} shapes are what the network makes."))


def _shape(row: Row, given: Any, config: ModelConfig) -> Verdict | None:
    """What is wrong with one shape, by the first axis that is."""
    letters, name = row.letters.split(), row.name
    if not isinstance(given, Sequence) or isinstance(given, str) or not all(type(size) is int for size in given):
        return Verdict(False, "not a shape", f"{name} should be a tuple of whole numbers, one for each axis.")
    if tuple(given) == row.shape:
        return None
    if len(given) != len(letters):
        words = "; ".join(MEANING[letter] for letter in letters)
        return Verdict(False, "number of axes", f"{name} has {len(letters)} axes, not {len(given)}. They are: {words}.")
    if sorted(given) == sorted(row.shape):
        return Verdict(False, "order of axes", f"{name} has these sizes, in another order.")
    axis = next(i for i, (mine, right) in enumerate(zip(given, row.shape, strict=True)) if mine != right)
    stands, taken = MEANING[letters[axis]], _named(given[axis], config)
    return Verdict(False, "size of an axis", f"axis {axis} of {name} counts {stands}. {given[axis]} is {taken}.")


def _named(size: int, config: ModelConfig) -> str:
    """What a number is in this model, in words."""
    sizes = {
        "b": BATCH, "s": SEQUENCE, "n": config.num_heads, "g": config.num_kv_groups, "d": config.head_dim,
        "h": config.hidden_size, "f": config.feedforward_size, "v": config.vocab_size,
    }  # fmt: skip
    known = {size: MEANING[letter] for letter, size in sizes.items()}
    known[ModelConfig.preset("tiny-chatglm").feedforward_size] = "the feed-forward of another column of the family"
    return known.get(size, "no size of this model")


# ---- 2. implement: the stream, split into heads ----


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[b s h] -> [b n s d]: head i owns the elements i * d to (i + 1) * d of each token."""
    return rearrange(x, "b s (n d) -> b n s d", n=heads)


HEADS = (
    Slip("shape right, tokens mixed",
         "You reshaped straight to the new shape. A reshape keeps the order in memory, where a token's numbers lie "
         "side by side: first split the last axis, then move the new one.",
         lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], -1)),
    Slip("elements dealt out like cards",
         "Head 0 took every n-th element of a token. Its elements lie side by side in the official weights.",
         lambda x, heads: rearrange(x, "b s (d n) -> b n s d", n=heads)),
    Slip("heads in reverse", "Head 0 owns the first elements of a token, not the last.",
         lambda x, heads: split_heads(x, heads).flip(1)),
    Slip("tokens in reverse", "The sequence runs backwards.", lambda x, heads: split_heads(x, heads).flip(2)),
    Slip("one head for all", "Every head holds the elements of the first.",
         lambda x, heads: split_heads(x, heads)[:, :1].expand(-1, heads, -1, -1)),
)  # fmt: skip
MOVED = Slip("shape right, numbers moved", "Compare answer(x, heads)[0, 0] with x[0, :, :d]: they should be one.", None)
ORDERS = {
    "b s n d": "the heads stand after the sequence. Attention compares tokens inside one head, so heads come first.",
    "b n d s": "the last two axes are swapped: a row should be a token.",
    "b s d n": "the last axis counts heads. Which axis should?",
    "b d n s": "the axes stand in another order.",
    "b d s n": "heads and the width of a head have changed places.",
    "n b s d": "the heads stand before the batch.",
    "s b n d": "the sequence stands before the batch.",
    "b s h": "the last axis is not split.",
}


def check_split_heads(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(x, heads)``, x [b s h] -> [b n s d]."""
    for *shape, heads in ((2, 5, 12, 4), (3, 7, 22, 2)):
        x = torch.arange(float(math.prod(shape))).reshape(shape)  # b s h
        result = _call(answer, x.clone(), heads)
        if isinstance(result, Verdict):
            return result
        sizes = dict(zip("bshnd", (*x.shape, heads, x.shape[-1] // heads), strict=True))
        if result.shape != (right := split_heads(x, heads)).shape:
            return Verdict(False, "the shape", _order(result, sizes))
        if not torch.equal(result.to(x.dtype), right):
            slip = next((s for s in HEADS if torch.equal(result.to(x.dtype), s.wrong(x, heads))), MOVED)
            return Verdict(False, slip.kind, slip.hint)
    return Verdict(True, "right", "equal to the package's own, number by number, for 4 heads and for 2.")


def _order(result: Tensor, sizes: Mapping[str, int]) -> str:
    """Which axes a wrong shape has."""
    for letters, words in ORDERS.items():
        if list(result.shape) == [sizes[letter] for letter in letters.split()]:
            return f"{list(result.shape)} is [{letters}]: {words}"
    return f"{list(result.shape)} should be [b n s d], here {[sizes[letter] for letter in 'bnsd']}."


# ---- 3. debug: logits by hand, from a report of a user (ChatGLM3 #1066) ----


def reported_logits(model: Any, seen: Seen) -> Tensor:
    """The head applied to what the last block gives. Something between the two is missing."""
    last = seen[f"blocks.{len(model.blocks) - 1}.output"]  # b s h
    return last @ model.head.weight.T  # b s v


def _last(model: Any, seen: Seen) -> Tensor:
    return seen[f"blocks.{len(model.blocks) - 1}.output"]


def _finish(model: Any, x: Tensor) -> Tensor:
    return model.head(model.final_norm(x))


def _norm_without_weight(model: Any, seen: Seen) -> Tensor:
    x, norm = _last(model, seen), model.final_norm
    plain = F.layer_norm if norm.kind == "layernorm" else F.rms_norm
    return model.head(plain(x, x.shape[-1:], eps=norm.eps))


LOGITS = (
    Slip(NOT_YET,
         "these are the logits of the report. Follow the last block's output to the head on the page above.",
         lambda model, seen: reported_logits(model, seen)),
    Slip("another norm",
         "you normalized with a norm of a block. Each norm has its own weight; this one stands after all blocks.",
         lambda model, seen: model.head(model.blocks[-1].post_attention_norm(_last(model, seen)))),
    Slip("another norm",
         "you normalized with the first norm of the model; this one stands after all blocks.",
         lambda model, seen: model.head(model.blocks[0].input_norm(_last(model, seen)))),
    Slip("norm without its weight",
         "you normalized; the norm then multiplies by a learned weight, and LayerNorm adds a bias.",
         _norm_without_weight),
    Slip("LayerNorm in every model",
         "you centred the vectors. Models of the family norm in two ways; take the part that does it in the model.",
         lambda model, seen: model.head(F.layer_norm(_last(model, seen), (model.config.hidden_size,)))),
    Slip("another table",
         "you used the embedding as the head. In this family the head is a table of its own.",
         lambda model, seen: model.final_norm(_last(model, seen)) @ model.embedding.weight.T),
    Slip("the wrong block",
         "that is the output of the first block.",
         lambda model, seen: _finish(model, seen["blocks.0.output"])),
    Slip("the wrong block",
         "that is the embedding: no block has seen it.",
         lambda model, seen: _finish(model, seen["embedding"])),
    Slip("the norm after the head",
         "the order matters: the norm reads the hidden size, not the vocabulary.",
         lambda model, seen: F.layer_norm(reported_logits(model, seen), (model.config.vocab_size,))),
    Slip("probabilities, not logits",
         "the rows add up to 1. Logits are the scores before softmax.",
         lambda model, seen: _finish(model, _last(model, seen)).softmax(-1)),
    Slip("block 2 by name",
         "right for 3 layers; with more of them, block 2 is not the last.",
         lambda model, seen: _finish(model, seen["blocks.2.output"])),
)  # fmt: skip


@torch.no_grad()
def check_logits(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(model, seen)`` equals the logits [b s v]; ``seen`` holds the embedding and the blocks."""
    deep = replace(ModelConfig.preset("tiny-chatglm2"), num_layers=4)
    for config in (ModelConfig.preset("tiny-chatglm2"), ModelConfig.preset("tiny-chatglm"), deep):
        model, seen, logits = _watched(config)
        result = _call(answer, model, seen)
        if isinstance(result, Verdict):
            return result
        if result.shape != logits.shape:
            part = "; the last token only?" if list(result.shape) == [1, config.vocab_size] else ""
            return Verdict(False, "the shape", f"{list(result.shape)} should be {list(logits.shape)}, [b s v]{part}")
        if not same([result], [logits], CLOSE):
            return _wrong_logits(model, seen, result, logits)
    return Verdict(True, "right", "the logits of the model, for LayerNorm and RMSNorm, for 3 layers and for 4.")


def _watched(config: ModelConfig) -> tuple[Transformer, Seen, Tensor]:
    """A model whose norms have learned something, what it made of a prompt up to the last block, and its logits."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = Transformer(config).eval()
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(torch.randn_like(parameter) / 2)
            else:
                parameter.mul_(5)
    special = [config.gmask_id, config.bos_id] if config.gmask_id else []
    with record(model, ("embedding", "blocks.*.output")) as seen:
        logits = model(torch.tensor([[10, 11, 12, 13, *special]]))
    return model, seen, logits


def _wrong_logits(model: Transformer, seen: Seen, result: Tensor, logits: Tensor) -> Verdict:
    for slip in LOGITS:
        if same([result], [slip.wrong(model, seen)], CLOSE):
            return Verdict(False, slip.kind, slip.hint)
    off = (result - logits).abs().max()
    return Verdict(False, "another mistake", f"the logits are off by up to {off:.2g}, in no way that is usual.")


# ---- calling what a reader wrote ----


def _call(answer: Answer, *given: Any) -> Tensor | Verdict:
    """The tensor that the reader's function returns, or what to say when it does not."""
    results = run(answer, [given])
    if isinstance(results, Verdict):
        return results
    if not isinstance(result := results[0], Tensor):
        return Verdict(False, "not a tensor", f"the function returns a {type(result).__name__}, not a tensor.")
    return result
