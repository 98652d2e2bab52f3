"""Positions: where a token stands. One clock for ChatGLM2-6B, ChatGLM3-6B and LLaMA, two for ChatGLM-6B.

GLM (Du et al. 2022, section 2.2) gives a token two positions. The first says where in the text it belongs: a token of
the answer has the position of the mask token that it fills, so the clock stands still. The second counts inside the
answer: 0 for the context, 1 for ``bos`` (<sop>), then 2, 3, ...

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), get_position_ids and prepare_inputs_for_generation;
tokenization_chatglm.py, _pad.
Differs: computed for the batch at once; padding is given by a keep mask, and kept tokens stand where they would without
it.
Two published revisions disagree: after "x x [gMASK] bos", that of 2023-03 lets the first clock run on (0 1 2 3), that
of 2023-09 freezes it (0 1 2 2). The older one also fills [MASK] before [gMASK] where a prompt holds both, and its
cached steps stand at the mask all the same. ``ModelConfig.position_revision`` selects; the released weights go with
2023-09.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.errors import InputError


def sequential_positions(keep: Bool[Tensor, "b s"]) -> Int[Tensor, "b s"]:
    """0, 1, 2, ... over the kept tokens; 0 on left padding."""
    return (keep.long().cumsum(-1) - 1).clamp(min=0)


def first_index(ids: Int[Tensor, "b s"], token: int | None) -> Int[Tensor, " b"]:
    """Index of the first ``token`` in each row, -1 where there is none."""
    found = ids == (-1 if token is None else token)  # b s
    return torch.where(found.any(-1), found.int().argmax(-1), -1)


def bos_index(ids: Int[Tensor, "b s"], config: ModelConfig) -> Int[Tensor, " b"]:
    """Index of the first ``bos`` in each row: everything before it is context.

    Raises:
        InputError: a row has none.
    """
    index = first_index(ids, config.bos_id)
    if (index < 0).any():
        raise InputError(f"Row {int((index < 0).int().argmax())} of input_ids has no bos token ({config.bos_id}); "
                         "a ChatGLM-6B prompt ends with [gMASK] (or holds [MASK]) and bos.")  # fmt: skip
    return index


def mask_index(ids: Int[Tensor, "b s"], config: ModelConfig) -> Int[Tensor, " b"]:
    """Index of the token that the answer fills: the first [gMASK], else the first [MASK]; 2023-03: the other way round.

    Raises:
        InputError: a row has neither.
    """
    gmask, mask = first_index(ids, config.gmask_id), first_index(ids, config.mask_id)
    first, second = (gmask, mask) if config.position_revision == "2023-09" else (mask, gmask)
    index = torch.where(first >= 0, first, second)
    if (index < 0).any():
        raise InputError(f"Row {int((index < 0).int().argmax())} of input_ids has neither [gMASK] ({config.gmask_id}) "
                         f"nor [MASK] ({config.mask_id}); a ChatGLM-6B prompt needs one before bos.")  # fmt: skip
    return index


def glm_positions(
    ids: Int[Tensor, "b s"], keep: Bool[Tensor, "b s"], config: ModelConfig
) -> tuple[Int[Tensor, "b *c s"], Int[Tensor, " b *c"]]:
    """Position ids of a whole prompt, [b 2 s] ([b s] with one clock), and the clocks that decoding goes on from."""
    index = sequential_positions(keep)  # b s
    context = index.gather(-1, bos_index(ids, config)[:, None])  # b 1
    filled = mask_index(ids, config)[:, None]  # b 1
    frozen = index.gather(-1, filled)  # b 1
    stands_still = config.rotary_channels == 2 and config.position_revision == "2023-09"
    fills_mask = ids.gather(-1, filled) == config.mask_id  # b 1   a [MASK] prompt freezes in every revision
    position = torch.where((index >= context) & (fills_mask | stands_still), frozen, index)  # b s
    if config.rotary_channels == 1:
        return position, frozen[:, 0]
    block = (index - context + 1).clamp(min=0)  # b s
    return torch.stack([position, block], dim=1), torch.stack([frozen[:, 0], block[:, -1]], dim=1)


def next_positions(
    last: Int[Tensor, " b *c"], keep: Bool[Tensor, "b s"], config: ModelConfig
) -> tuple[Int[Tensor, "b *c s"], Int[Tensor, " b *c"]]:
    """Position ids of new tokens after a cache, and the clocks after them. GLM's first clock stands still.

    With one clock only (position_encoding_2d off) the official decode step still uses the mask's position, which
    disagrees with its own uncached pass on [gMASK] prompts. That is kept: no published model has one clock.
    """
    steps = keep.long().cumsum(-1)  # b s
    if config.positions == "sequential":
        ids = last[:, None] + steps
        return ids.clamp(min=0), ids[:, -1]
    if config.rotary_channels == 1:
        return last[:, None].expand_as(steps), last
    frozen, block = last[:, :1].expand_as(steps), last[:, 1:] + steps  # b s
    return torch.stack([frozen, block], dim=1), torch.stack([last[:, 0], block[:, -1]], dim=1)
