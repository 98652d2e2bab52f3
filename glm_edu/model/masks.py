"""Masks: who may look at whom. True = visible, rows ask (queries), columns answer (keys).

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), get_masks; (ChatGLM2-6B rev 1fd8e8d), get_masks.
Differs: the official masks say True = hidden. The row of a padded query: ChatGLM-6B hides everything from it (its
finite mask value makes that a uniform average); ChatGLM2-6B opens it while nothing is cached, and not after. Nobody
reads such a row, and no kept row sees one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor


def causal_mask(queries: int, keys: int) -> Bool[Tensor, "q k"]:
    """A token sees itself and the past; the last query is the last key, so earlier keys are a cache: ChatGLM2-6B on."""
    key = torch.arange(keys)  # k
    query = torch.arange(keys - queries, keys)[:, None]  # q 1
    return key <= query  # q k


def prefix_mask(
    context: int | Int[Tensor, "b 1 1"], length: int
) -> Bool[Tensor, "*b q k"]:  # fmt: skip
    """The first ``context`` tokens see each other both ways, bos and the rest are causal: ChatGLM-6B."""
    key = torch.arange(length, device=getattr(context, "device", None))  # k
    query = key[:, None]  # q 1
    return (key < context) | (key <= query)  # q k


def hide_padding(
    mask: Bool[Tensor, "b 1 q k"], keep: Bool[Tensor, "b k"],
    pad_rows: bool | None = None,
) -> Bool[Tensor, "b 1 q k"]:  # fmt: skip
    """Hide padded keys. A padded query then sees all (``pad_rows`` True), nothing (False) or what is left (None).

    With None, a row that has nothing left sees everything: softmax over nothing is NaN, and would spread to kept rows.
    """
    visible = mask & keep[:, None, None, :]  # b 1 q k
    padded = ~keep[:, None, -mask.shape[-2] :, None]  # b 1 q 1
    if pad_rows is False:
        return visible & ~padded
    return visible | (padded if pad_rows else ~visible.any(-1, keepdim=True))


def show_prefix(mask: Bool[Tensor, "b 1 q k"], prefix_length: int) -> Bool[Tensor, "b 1 q {prefix_length}+k"]:
    """Put the P-tuning prefix in front of the keys: every query sees all of it."""
    return F.pad(mask, (prefix_length, 0), value=True)
