"""Small networks of the golden cases' kinds, with random weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from glm_edu import ModelConfig, Transformer

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/model.safetensors"))
LAYOUTS = {
    "chatglm": "chatglm1_gmask",
    "chatglm2": "chatglm2_prefill",
    "chatglm2-per-head": "chatglm2_mha",
    "chatglm2-prefix": "chatglm2_ptuning_projection",
    "llama": "llama_gqa",
    "llama-tied": "llama_bias",
    "glm": "glm4_prefill",
}


def small_model(kind: str = "llama", **changes: Any) -> Transformer:
    """A network of one golden case's kind with two narrow layers."""
    config = ModelConfig.from_official(json.loads((GOLDEN / LAYOUTS[kind] / "config.json").read_text()))
    small = {"num_layers": 2, "vocab_size": 40, "feedforward_size": 12} | changes
    torch.manual_seed(0)
    model = Transformer(dataclasses.replace(config, **small))
    for parameter in model.parameters():  # norms start at one and biases at zero: let every number tell its place
        torch.nn.init.normal_(parameter)
    return model.eval()


def same(a: Transformer, b: Transformer) -> bool:
    """Equal configs, and equal weights to the last bit."""
    left, right = a.state_dict(), b.state_dict()
    return a.config == b.config and left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left
    )
