"""Feed-forward: each token for itself, wide and back.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), class GLU, which despite its name has no gate; (ChatGLM2-6B rev
1fd8e8d), MLP.
Differs: gate and up are two linears; ChatGLM2-6B and GLM-4 fuse them, gate rows first.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from glm_edu.config import ModelConfig
from glm_edu.linear import Linear
from glm_edu.model.activations import ACTIVATIONS
from glm_edu.model.tap import Tap


class FeedForward(nn.Module):
    """down(act(up(x))): ChatGLM-6B. down(act(gate(x)) * up(x)): ChatGLM2-6B, ChatGLM3-6B, LLaMA."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        h, f, bias = config.hidden_size, config.feedforward_size, config.feedforward_bias
        self.up = Linear(h, f, bias=bias)
        self.gate = Linear(h, f, bias=bias) if config.feedforward == "gated" else None
        self.down = Linear(f, h, bias=bias)
        self.activation = config.activation
        self.taps = {
            "hidden": Tap(f"blocks.{index}.feedforward.hidden", "b s f", "after the activation (and the gate)"),
            "output": Tap(f"blocks.{index}.feedforward.output", "b s h", "what the feed-forward adds to the stream"),
        }

    def forward(self, x: Float[Tensor, "b s h"]) -> Float[Tensor, "b s h"]:
        act, gate, up = ACTIVATIONS[self.activation], self.gate, self.up
        hidden = act(up(x)) if gate is None else act(gate(x)) * up(x)  # b s f
        return self.taps["output"](self.down(self.taps["hidden"](hidden)))  # b s h
