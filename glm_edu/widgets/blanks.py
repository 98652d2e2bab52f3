"""Move and resize a blank in a text of your own: parts, clocks, labels and mask follow."""

from collections.abc import Sequence

from ipywidgets import Dropdown, IntSlider

from glm_edu.errors import InputError
from glm_edu.figures import Figure, blank_painter
from glm_edu.figures.palette import WORDS
from glm_edu.widgets.explorer import Explorer

MASKS = ("[MASK]", "[gMASK]")


def explore_blank(text: Sequence[str], start: int, length: int, *, caption: str = "") -> Explorer:
    """The blank painter with a kernel behind it. With [gMASK] the blank is all that follows ``start``.

    Raises:
        InputError: a blank that does not fit the text.
    """
    n = len(text)
    if not (0 <= start < n and 0 < length <= n - start):
        raise InputError(f"The blank ({start}, {length}) does not fit a text of {n} tokens.")
    words = WORDS["blank_painter"]

    def draw(start: int, length: int, kind: str) -> Figure:
        rest = n - start
        return blank_painter(text, [(start, rest if kind == "[gMASK]" else min(length, rest))], kind, caption=caption)

    return Explorer(
        draw,
        start=IntSlider(value=start, min=0, max=n - 1, description=words["start"]),
        length=IntSlider(value=length, min=1, max=n, description=words["length"]),
        kind=Dropdown(options=[(words[mask], mask) for mask in MASKS], value=MASKS[0], description=words["kind"]),
    )
