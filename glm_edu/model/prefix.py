"""P-tuning v2: learned keys and values in front of every layer's own. Only they are meant to be trained.

Liu et al. 2022. The prefix is appended along the key axis (it is not added to the keys), its keys are not rotated, and
the positions of the tokens do not move.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335 and ChatGLM2-6B rev 1fd8e8d), PrefixEncoder and get_prompt.
Differs: nothing is frozen here (the official constructors freeze the rest: use ``requires_grad_``); the projection's
linears have names; the width of the projected table is ``ModelConfig.prefix_embedding``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from glm_edu.config import ModelConfig

PrefixKeys = Float[Tensor, "b g p d"]


class PrefixEncoder(nn.Module):
    """A table of P rows, each the keys and values of all layers; or a narrower table and two linears that make them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = 2 * config.num_layers * config.num_kv_groups * config.head_dim
        projected = config.hidden_size if config.prefix_embedding == "hidden" else width
        self.embedding = nn.Embedding(config.prefix_length, projected if config.prefix_projection else width)
        if config.prefix_projection:
            self.project_in = nn.Linear(projected, config.hidden_size)
            self.project_out = nn.Linear(config.hidden_size, width)

    def forward(self, batch: int, dtype: torch.dtype) -> list[tuple[PrefixKeys, PrefixKeys]]:
        """Key and value of each layer in the network's ``dtype``; the prefix itself may stay in float32."""
        rows = self.embedding.weight  # p width
        if self.config.prefix_projection:
            rows = self.project_out(torch.tanh(self.project_in(rows)))  # p width
        rows = F.dropout(rows.to(dtype).expand(batch, -1, -1), self.config.prefix_dropout, self.training)  # b p width
        sizes = {"L": self.config.num_layers, "two": 2, "d": self.config.head_dim}
        layers = rearrange(rows, "b p (L two g d) -> L two b g p d", **sizes)
        return [(key, value) for key, value in layers]
