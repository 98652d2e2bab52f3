"""Take the norms out of a deep stack of random blocks, and watch where its numbers leave float16."""

from dataclasses import replace
from typing import Any

import torch
from ipywidgets import Dropdown, IntSlider
from torch import nn

from glm_edu import ModelConfig, Transformer, record
from glm_edu.figures import Figure
from glm_edu.figures.overflow import BLOCK, largest_map
from glm_edu.figures.palette import WORDS
from glm_edu.figures.panels import check_choice
from glm_edu.widgets.explorer import Explorer

TOKENS = 12  # length of the random prompt
KINDS = ("none", "rmsnorm", "layernorm")
DTYPES = {"float32": torch.float32, "float16": torch.float16}


def without_norms(model: Transformer) -> Transformer:
    """The same model, whose norms hand on what they get. It is changed in place."""
    for block in model.blocks:
        for name in ("input_norm", "post_attention_norm"):
            block.add_module(name, nn.Identity())
    model.add_module("final_norm", nn.Identity())
    return model


def explore_overflow(*, blocks: int = 6, norm: str = "none", seed: int = 0, caption: str = "") -> Explorer:
    """A choice of norm and of dtype and a slider for the depth, over the largest numbers of a pre-norm stack.

    The weights are random, drawn so that a linear layer neither lengthens nor shortens what it reads. Raises InputError
    for a norm that is not one of ``KINDS``.
    """
    check_choice("the list of norms", KINDS, norm, least=1)
    words = WORDS["overflow"]

    def draw(norm: str, dtype: str, blocks: int) -> Figure:
        kind: Any = "rmsnorm" if norm == "none" else norm
        config = replace(ModelConfig.preset("tiny-chatglm2"), num_layers=blocks, norm=kind)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            model = _even(Transformer(config)).to(DTYPES[dtype]).eval()
            ids = torch.randint(6, 400, (1, TOKENS))
            with record(without_norms(model) if norm == "none" else model, _NAMES) as seen:
                model(ids)
        return largest_map({f"{norm}, {dtype}": seen}, caption=caption)

    return Explorer(
        draw,
        norm=Dropdown(options=KINDS, value=norm, description=words["norm"]),
        dtype=Dropdown(options=[*DTYPES], value="float16", description=words["dtype"]),
        blocks=IntSlider(value=blocks, min=1, max=28, description=words["blocks"]),
    )


_NAMES = [f"blocks.*.{tensor}" for _, tensor in BLOCK]


def _even(model: Transformer) -> Transformer:
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            size = module.in_features if isinstance(module, nn.Linear) else 1
            nn.init.normal_(module.weight, std=size**-0.5)
    return model
