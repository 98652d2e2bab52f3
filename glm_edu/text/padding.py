"""A batch of prompts of different lengths: padded on the left, so that every row ends where its answer begins.

Kept tokens have the positions that they would have alone, and padding has position 0.

Official: tokenization_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d), _pad.
Differs: ChatGLM-6B's tokenizer makes a mask [b, 1, s, s] that says True = hidden; here it is [b, s] with 1 = keep for
all generations, and the network makes the large one from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.model.positions import first_index, sequential_positions


@dataclass(frozen=True)
class Padded:
    """What the network is called with: ``model(**vars(padded))``.

    Attributes:
        input_ids: [b, s].
        attention_mask: [b, s], 1 = keep, 0 = padding.
        position_ids: [b, s]; ChatGLM-6B: [b, 2, s], one row a clock.
    """

    input_ids: Int[Tensor, "b s"]
    attention_mask: Int[Tensor, "b s"]
    position_ids: Int[Tensor, "b *c s"]


def pad_left(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Int[Tensor, "b s"], Bool[Tensor, "b s"]]:
    """Ids and what to keep of them, both [b, s].

    Raises:
        InputError: no rows, or a row without ids.
    """
    if not rows or not all(len(row) for row in rows):
        raise InputError("pad needs at least one row, and at least one id in each.")
    longest = max(map(len, rows))
    ids = torch.tensor([[pad_id] * (longest - len(row)) + list(row) for row in rows])  # b s
    keep = torch.tensor([[False] * (longest - len(row)) + [True] * len(row) for row in rows])  # b s
    return ids, keep


def pad_for_one_clock(rows: Sequence[Sequence[int]], pad_id: int) -> Padded:
    """A batch for ChatGLM2-6B, ChatGLM3-6B and LLaMA: positions 0, 1, 2, ... over the kept tokens."""
    ids, keep = pad_left(rows, pad_id)
    return Padded(ids, keep.long(), sequential_positions(keep))


def pad_for_two_clocks(rows: Sequence[Sequence[int]], pad_id: int, bos: int, masks: tuple[int, int]) -> Padded:
    """A batch for ChatGLM-6B: from ``bos`` on, the first clock stands at the mask and the second counts.

    ``masks``: [MASK] and [gMASK], in the order in which the official tokenizer looks for them. The network looks for
    them the other way round, which matters to a text that holds [MASK] and ends with [gMASK]: its rows stand at [MASK]
    with these position ids, as officially with padding, and at [gMASK] without them, as in the official chat.

    Raises:
        InputError: a row without bos, or with neither mask.
    """
    ids, keep = pad_left(rows, pad_id)
    index = sequential_positions(keep)  # b s
    mask = torch.stack([first_index(ids, token) for token in masks], dim=-1)  # b 2
    filled = torch.where(mask[:, 0] >= 0, mask[:, 0], mask[:, 1])[:, None]  # b 1
    start = first_index(ids, bos)[:, None]  # b 1
    if (bad := (filled < 0) | (start < 0)).any():
        raise InputError(f"Row {int(bad.int().argmax())} lacks <sop> ({bos}), or both [MASK] and [gMASK] {masks}; "
                         "encode puts them in.")  # fmt: skip
    start, filled = index.gather(-1, start), index.gather(-1, filled)  # b 1
    position = torch.where(keep & (index >= start), filled, index)  # b s
    block = torch.where(keep, (index - start + 1).clamp(min=0), 0)  # b s
    return Padded(ids, keep.long(), torch.stack([position, block], dim=1))
