"""Send one query through attention in a number format of your choice, with a layer factor, and with larger numbers."""

from collections.abc import Sequence

import torch
from ipywidgets import Dropdown, IntSlider, SelectionSlider
from jaxtyping import Bool, Float
from torch import Tensor

from glm_edu.figures import Figure, attention_stages, score_stages
from glm_edu.figures.palette import WORDS
from glm_edu.widgets.explorer import Explorer

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
TIMES = tuple(2**power for power in range(10))


def explore_scores(
    query: Float[Tensor, " d"], key: Float[Tensor, "k d"], value: Float[Tensor, "k d"], visible: Bool[Tensor, " k"],
    tokens: Sequence[str], *, caption: str = "",
) -> Explorer:  # fmt: skip
    """A choice of dtype, a slider for the factor c of layer scaling, and one for how many times longer q and k are."""
    words = WORDS["score_stages"]

    def draw(dtype: str, layer: int, times: int) -> Figure:
        stages = attention_stages(times * query, times * key, value, visible, dtype=DTYPES[dtype], layer=layer)
        return score_stages({dtype: stages}, tokens, visible, caption=caption)

    return Explorer(
        draw,
        dtype=Dropdown(options=[*DTYPES], value="float16", description=words["dtype"]),
        layer=IntSlider(value=1, min=1, max=28, description=words["layer"]),
        times=SelectionSlider(options=TIMES, value=1, description=words["times"]),
    )
