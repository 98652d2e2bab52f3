"""The same weights in two networks: ours, and that of transformers, sharing one memory.

The peers are ``LlamaForCausalLM`` and ``GlmForCausalLM`` (transformers, attention "sdpa"). Their random weights are
ours too, as views, so that 3 GB of weights take 3 GB, and neither side has the better-placed copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from glm_edu import ModelConfig, Transformer
from glm_edu.checkpoints.layout import official_tensors
from glm_edu.checkpoints.sketch import NoInit, sketch
from glm_edu.config import FAMILIES
from glm_edu.model.rotary import DTYPES

# Sizes of a published kind; the third has ChatGLM2-6B's width and head, and two of its 28 layers.
SIZES: dict[str, dict[str, int]] = {
    "15M": dict(hidden_size=288, num_layers=6, num_heads=6, num_kv_groups=6, head_dim=48, feedforward_size=768,
                vocab_size=32000),
    "135M": dict(hidden_size=576, num_layers=30, num_heads=9, num_kv_groups=3, head_dim=64, feedforward_size=1536,
                 vocab_size=49152),
    "6B, 2 layers": dict(hidden_size=4096, num_layers=2, num_heads=32, num_kv_groups=2, head_dim=128,
                         feedforward_size=13696, vocab_size=65024),
}  # fmt: skip
LONGEST = 4096  # positions


@dataclass(frozen=True)
class Pair:
    """Two networks of the same weights.

    Attributes:
        ours: the package's.
        theirs: that of transformers.
        difference: the largest difference of their logits for one prompt, of logits around 1.
    """

    ours: Transformer
    theirs: Any
    difference: float


def config_of(size: str, family: str, dtype: str) -> ModelConfig:
    """The config of a size in SIZES, as llama or glm."""
    return replace(ModelConfig(**FAMILIES[family], **SIZES[size], max_positions=LONGEST), dtype=dtype)


@torch.no_grad()
def pair(config: ModelConfig, seed: int = 0) -> Pair:
    """Ours and theirs, with the same random weights."""
    official = config.to_official()
    settings = AutoConfig.for_model(official.pop("model_type"), **official, attn_implementation="sdpa")
    with NoInit():
        theirs = AutoModelForCausalLM.from_config(settings, dtype=DTYPES[config.dtype]).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in theirs.parameters():
        spread = parameter.shape[-1] ** -0.5 if parameter.ndim == 2 else 0.0
        parameter.normal_(0.0, spread, generator=generator).add_(parameter.ndim == 1)  # norms are 1
    ours = _sharing(config, theirs.state_dict())
    ids = torch.randint(3, 1000, (1, 32), generator=generator)
    difference = (ours(ids) - theirs(ids).logits).abs().max().item()
    return Pair(ours, theirs, difference)


def _sharing(config: ModelConfig, weights: dict[str, torch.Tensor]) -> Transformer:
    model = sketch(config)
    tensors = official_tensors(config, {name: tensor.shape for name, tensor in model.state_dict().items()})
    ours = {part.ours: part.rows(weights[it.name]).flatten(0, 1) for it in tensors for part in it.parts}
    model.load_state_dict(ours, assign=True)
    return model.requires_grad_(False)
