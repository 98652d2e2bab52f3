"""Walk through the layers and heads of a model: each step runs it and records the map."""

from collections.abc import Sequence

import torch
from ipywidgets import IntSlider
from jaxtyping import Int
from torch import Tensor

from glm_edu import Transformer, record
from glm_edu.figures import Figure, attention_map
from glm_edu.figures.palette import LAYOUT_FAMILIES, WORDS
from glm_edu.widgets.explorer import Explorer


def explore_attention(
    model: Transformer, input_ids: Int[Tensor, "b s"], tokens: Sequence[str], *, caption: str = ""
) -> Explorer:
    """Sliders for layer and head over the attention of the first example. The model runs at each change, so that a
    change you make to its weights shows. The columns of a P-tuning prefix are called P0, P1, ...
    """
    words, config = WORDS["attention_map"], model.config

    def draw(layer: int, head: int) -> Figure:
        name = f"blocks.{layer}.attention.probs"
        with torch.no_grad(), record(model, name) as seen:
            model(input_ids)
        probs = seen[name][0]  # n q k
        prefix = [f"P{i}" for i in range(probs.shape[-1] - len(tokens))]
        title = words["title"].format(layer=layer, h=head)
        family = LAYOUT_FAMILIES[config.layout]
        return attention_map(
            probs, tokens, head=head, key_tokens=[*prefix, *tokens], title=title, caption=caption, family=family
        )

    return Explorer(
        draw,
        layer=IntSlider(value=0, min=0, max=config.num_layers - 1, description=words["layer_control"]),
        head=IntSlider(value=0, min=0, max=config.num_heads - 1, description=words["head_control"]),
    )
