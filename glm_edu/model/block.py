"""One block: norm, attention, residual; norm, feed-forward, residual. The same for the whole family.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335 and ChatGLM2-6B rev 1fd8e8d), GLMBlock; modeling_llama.py,
LlamaDecoderLayer.
Differs: batch first; what the residual starts from is a value of the config.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from glm_edu.config import ModelConfig
from glm_edu.model.attention import Extend, Mask, SelfAttention
from glm_edu.model.feedforward import FeedForward
from glm_edu.model.norms import Norm
from glm_edu.model.residual import RESIDUALS
from glm_edu.model.rotary import Angles
from glm_edu.model.tap import Tap


class Block(nn.Module):
    """Layer ``index`` (from 0) of the network."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.input_norm = Norm(config.norm, config.hidden_size, config.norm_eps)
        self.attention = SelfAttention(config, index)
        self.post_attention_norm = Norm(config.norm, config.hidden_size, config.norm_eps)
        self.feedforward = FeedForward(config, index)
        self.config = config
        self.taps = {
            name: Tap(f"blocks.{index}.{name}", "b s h", meaning)
            for name, meaning in (
                ("input", "the stream as it enters the block"),
                ("input_norm", "normalized, what attention reads"),
                ("middle", "the stream after the first residual"),
                ("post_attention_norm", "normalized, what the feed-forward reads"),
                ("output", "the stream as it leaves the block"),
            )
        }

    def forward(
        self, x: Float[Tensor, "b s h"], angles: Angles, mask: Mask | None,
        extend: Extend | None = None,
    ) -> Float[Tensor, "b s h"]:  # fmt: skip
        add, alpha, tap = RESIDUALS[self.config.residual], self.config.alpha, self.taps
        x = tap["input"](x)
        normed = tap["input_norm"](self.input_norm(x))  # b s h
        out = self._dropout(self.attention(normed, angles, mask, extend))  # b s h
        x = tap["middle"](add(x, normed, out, alpha))
        normed = tap["post_attention_norm"](self.post_attention_norm(x))  # b s h
        out = self._dropout(self.feedforward(normed))  # b s h
        return tap["output"](add(x, normed, out, alpha))

    def _dropout(self, x: Float[Tensor, "b s h"]) -> Float[Tensor, "b s h"]:
        return F.dropout(x, self.config.hidden_dropout) if self.training else x
