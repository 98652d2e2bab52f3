"""An answer put where you say: the same ids and the same mask, and a first clock of your choice.

Two blanks of one text differ in nothing but their place. The model is asked for one of them by the position that its
answer is given.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), get_position_ids, which knows one blank; what it is given as
``position_ids`` goes before.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.model.cache import KVCache
from glm_edu.model.positions import bos_index
from glm_edu.model.transformer import Transformer


def clocks_at(ids: Int[Tensor, "1 s"], context: int, place: int) -> Int[Tensor, "1 2 s"]:
    """Both clocks of a row whose answer begins at index ``context`` and stands at position ``place``."""
    index = torch.arange(ids.shape[1], device=ids.device)  # s
    position = index.where(index < context, place)  # s   counts the context, then stands still
    block = (index - context + 1).clamp(min=0)  # s   0 in the context, then 1, 2, 3
    return torch.stack([position, block])[None]  # 1 2 s


@torch.no_grad()
def fill_at(model: Transformer, ids: Int[Tensor, "1 s"], place: int, most: int = 10) -> list[int]:
    """The likeliest answer, an id at a time, to a prompt that ends with <sop>, if it stands at position ``place``.

    Raises:
        InputError: more prompts than one, a place that is not in the context, or no <sop> at the end.
    """
    if len(ids) != 1:
        raise InputError(f"ids are {list(ids.shape)}: a place is that of one prompt, [1 s].")
    context = int(bos_index(ids, model.config))
    if not (context == ids.shape[1] - 1 and 0 <= place < context):
        raise InputError(f"place is {place} and <sop> stands at {context} of {ids.shape[1]}: a prompt ends with <sop>, "
                         f"and its answer may stand at 0 to {context - 1}.")  # fmt: skip
    cache, written = KVCache(), list[int]()
    logits = model(ids, position_ids=clocks_at(ids, context, place), cache=cache)  # 1 s v
    while len(written) < most and (token := int(logits[0, -1].argmax())) not in model.config.eos_ids:
        written.append(token)
        logits = model(ids.new_tensor([[token]]), cache=cache)  # 1 1 v   the clocks go on from the cache
    return written
