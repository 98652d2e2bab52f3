"""Walk through the layers and heads of a model: each step runs it and records the map."""

from collections.abc import Sequence

import torch
from ipywidgets import IntSlider
from jaxtyping import Int
from torch import Tensor

from glm_edu import Transformer, load_tokenizer, record
from glm_edu.errors import InputError
from glm_edu.figures import Figure, attention_map
from glm_edu.figures.palette import LAYOUT_FAMILIES, WORDS
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.widgets.explorer import Explorer

COUPLET = "明月松间照，清泉石[MASK]流。"  # a moon among pines, a spring upon stones; Tang GLM has not read it


def explore_attention(
    model: Transformer | None = None, input_ids: Int[Tensor, "b s"] | None = None, tokens: Sequence[str] | None = None,
    *, layer: int = 0, head: int = 0, caption: str = "",
) -> Explorer:  # fmt: skip
    """Sliders for layer and head over the attention of the first example. The model runs at each change, so that a
    change you make to its weights shows. The columns of a P-tuning prefix are called P0, P1, ...

    With no model, Tang GLM reads a couplet with a blank. ``layer`` and ``head`` are shown first. Raises InputError for
    a model without ids and tokens, or the other way round.
    """
    if model is None and input_ids is None and tokens is None:
        return explore_attention(*_tang_glm(), layer=layer, head=head, caption=caption)
    if model is None or input_ids is None or tokens is None:
        raise InputError("explore_attention needs a model, its input_ids and their tokens, or none of the three.")
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
        layer=IntSlider(value=layer, min=0, max=config.num_layers - 1, description=words["layer_control"]),
        head=IntSlider(value=head, min=0, max=config.num_heads - 1, description=words["head_control"]),
    )


def _tang_glm() -> tuple[Transformer, Int[Tensor, "1 s"], list[str]]:
    tokenizer = load_tokenizer("tang-glm")
    ids = tokenizer.encode(COUPLET)
    assert isinstance(tokenizer, CharacterTokenizer)
    return Transformer.from_pretrained("tang-glm"), torch.tensor([ids]), [tokenizer.tokens[i] for i in ids]
