"""Move two tokens and change the base: the hands of a head and its score by distance follow."""

from ipywidgets import Dropdown, IntSlider
from jaxtyping import Float
from torch import Tensor

from glm_edu.figures import Figure, rotary_clocks
from glm_edu.figures.palette import WORDS
from glm_edu.model.rotary import inverse_frequencies
from glm_edu.widgets.explorer import Explorer

BASES = (100.0, 1000.0, 10_000.0, 500_000.0, 5_000_000.0)  # 500,000 and 5,000,000: longer ChatGLM models


def explore_rotary(
    query: Float[Tensor, "pairs 2"], key: Float[Tensor, "pairs 2"], *, rest: float | None = None,
    shifts: int = 2000, farthest: int = 64, caption: str = "",
) -> Explorer:  # fmt: skip
    """The rotary clocks with a kernel behind them, and with the base as a third control.

    ``query`` and ``key`` are pairs of a head before they are turned, ``rest`` is what the part that does not turn adds.
    """
    words = WORDS["rotary_clocks"]

    def draw(base: float, shift: int, distance: int) -> Figure:
        turns = inverse_frequencies(2 * len(query), base)
        return rotary_clocks(
            query, key, turns, rest=rest, shift=shift, distances=[distance], shifts=shifts, farthest=farthest,
            caption=caption,
        )  # fmt: skip

    return Explorer(
        draw,
        base=Dropdown(options=[(f"{base:,.0f}", base) for base in BASES], value=10_000.0, description=words["base"]),
        shift=IntSlider(value=0, min=0, max=shifts, description=words["shift"]),
        distance=IntSlider(value=1, min=0, max=farthest, description=words["distance"]),
    )
