"""The other way to use several devices: a whole model on each, and the rows of a batch shared out.

Nothing is sent while they write, so it is the better way as long as a whole model fits on one device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Int
from torch import Tensor

from glm_edu.generate import filling_id, generate
from glm_edu.model.transformer import Transformer
from glm_edu.parallel.ranks import this_rank


def generate_rows(
    model: Transformer, input_ids: Int[Tensor, "b s"],
    attention_mask: Tensor | None = None, **settings: Any,
) -> Int[Tensor, "b t"]:  # fmt: skip
    """What ``generate`` gives, each rank writing every R-th row; all rows on all ranks.

    Args:
        model: the same whole model on each rank.
        input_ids: the same ids on each rank.
        attention_mask: 1 = keep, as for ``generate``.
        settings: of ``generate``.

    Raises:
        InputError: as ``generate``; or no processes have joined.
    """
    rank, ranks = this_rank()
    mine = input_ids[rank::ranks]  # b/ranks s
    if len(mine):
        keep = None if attention_mask is None else attention_mask[rank::ranks]
        mine = generate(model, mine, attention_mask=keep, **settings)  # b/ranks t
    longest = torch.tensor(mine.shape[1], device=mine.device)
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    share = -(-len(input_ids) // ranks)
    padded = mine.new_full((share, int(longest)), filling_id(model))  # b/ranks t
    padded[: len(mine), : mine.shape[1]] = mine
    gathered = [torch.empty_like(padded) for _ in range(ranks)]
    dist.all_gather(gathered, padded)
    rows = torch.stack(gathered, dim=1).flatten(0, 1)  # row i was rank i mod R's
    return rows[: len(input_ids)]  # b t
