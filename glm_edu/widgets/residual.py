"""Turn alpha and watch the residual stream of a deep stack of random blocks."""

from dataclasses import replace

import torch
from ipywidgets import IntSlider

from glm_edu import ModelConfig, Transformer, record
from glm_edu.figures import Figure, residual_norms, stream_norms
from glm_edu.figures.palette import WORDS
from glm_edu.widgets.explorer import Explorer

TOKENS = 12  # length of the random prompt


def explore_residual(*, layers: int = 28, hidden_size: int = 64, seed: int = 0, caption: str = "") -> Explorer:
    """A slider for N in alpha = sqrt(2 N), and the norm by depth of two random stacks of the same weights.

    One adds alpha * norm(x), as ChatGLM-6B does, the other x, as ChatGLM2-6B, ChatGLM3-6B and LLaMA do.
    Norms are means over the tokens.
    """
    tiny = ModelConfig.preset("tiny-chatglm")
    config = replace(
        tiny,
        num_layers=layers,
        hidden_size=hidden_size,
        head_dim=hidden_size // tiny.num_heads,
        feedforward_size=4 * hidden_size,
    )
    words = WORDS["plotly"]

    def draw(alpha_layers: int) -> Figure:
        scaled = replace(config, residual="scaled_post_norm", alpha_layers=alpha_layers)
        names = {words["scaled"].format(alpha=f"{scaled.alpha:.2f}"): "v1", words["plain"]: "v2"}
        stacks = (scaled, replace(config, residual="pre_norm"))
        curves = {name: _norms(stack, seed) for name, stack in zip(names, stacks, strict=True)}
        return residual_norms(curves, families=names, caption=caption)

    return Explorer(draw, alpha_layers=IntSlider(value=28, min=1, max=100, description=words["alpha_control"]))


def _norms(config: ModelConfig, seed: int) -> torch.Tensor:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = Transformer(config).eval()
        ids = torch.randint(6, 400, (1, TOKENS))
        ids[0, -2:] = torch.tensor([config.gmask_id, config.bos_id])
        with record(model, ["blocks.*.input", "blocks.*.output"]) as seen:
            model(ids)
    return stream_norms(seen)
