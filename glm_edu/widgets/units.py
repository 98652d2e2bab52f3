"""Choose a block and a token: the units of the feed-forward that open widest for it, and what else opens them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from ipywidgets import Dropdown, IntSlider
from jaxtyping import Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures import Figure
from glm_edu.figures.gates import gate_strip, openings
from glm_edu.figures.palette import WORDS
from glm_edu.model.block import Block
from glm_edu.model.transformer import Transformer
from glm_edu.record import record
from glm_edu.widgets.explorer import Explorer

MOST = 8  # units at a time


def explore_units(
    model: Transformer, ids: Int[Tensor, "1 s"], tokens: Sequence[str], *, block: int = 0, token: int = 0,
    caption: str = "",
) -> Explorer:  # fmt: skip
    """The eight units of a block that stand out for one token: open for it, and shut for the others on average.

    Each change runs the model again.

    Raises:
        InputError: not one name for each id, or a token that is not there.
    """
    if len(tokens) != ids.shape[1] or not 0 <= token < len(tokens):
        raise InputError(f"There are {ids.shape[1]} ids and {len(tokens)} tokens, and token is {token}: give one name "
                         "for each id, and the index of one of them.")  # fmt: skip
    words = WORDS["gates"]

    def draw(block: int, token: int) -> Figure:
        name = f"blocks.{block}.post_attention_norm"
        with torch.no_grad(), record(model, [name]) as seen:
            model(ids)
            opened = openings(cast(Block, model.blocks[block]).feedforward, seen[name][0])  # s f
        stand_out = (opened[token] - opened.mean(0)).topk(MOST).indices.tolist()
        return gate_strip(opened, stand_out, tokens, caption=caption)

    return Explorer(
        draw,
        block=IntSlider(value=block, min=0, max=model.config.num_layers - 1, description=words["block"]),
        token=Dropdown(options=[(f"{i} {name}", i) for i, name in enumerate(tokens)], value=token,
                       description=words["token"]),
    )  # fmt: skip
