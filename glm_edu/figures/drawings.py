"""Pictures that a chapter draws with matplotlib, framed as all figures are; one of several by choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure
from glm_edu.figures.panels import check_choice, panel, radios
from glm_edu.figures.svg import digest, inline_svg, plot_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot


def drawing(figure: Plot, *, alt: str, caption: str = "", title: str = "") -> Figure:
    """A matplotlib figure, closed and turned into inline SVG with the page's colours and letters.

    Draw with ``house_style()`` and the palette's colours: other colours stay as they are, in light and dark.
    ``data`` holds the words of each axes and the label and points of each line. Raises InputError for anything else
    than a matplotlib figure, and for an empty ``alt``.
    """
    _check("figure", figure, alt)
    data = {"axes": plot_data(figure)}
    return Figure("drawing", data, alt, inline_svg(figure, alt + caption + title), caption, title)


def choices(
    figures: Mapping[str, Plot], *, legend: str, chosen: str, alt: str, caption: str = "", title: str = ""
) -> Figure:
    """One of several matplotlib figures, by radio buttons that need no script. All show where CSS knows no ``:has``.

    ``legend`` names the choice, ``chosen`` is shown first. Raises InputError for fewer than two or more than eight
    figures, an unknown ``chosen``, or what ``drawing`` refuses.
    """
    check_choice("figures", figures, chosen)
    for name, figure in figures.items():
        _check(f"figures[{name!r}]", figure, alt)
    words = legend + alt + caption + title
    data = {"legend": legend, "chosen": chosen, "choices": {name: plot_data(plot) for name, plot in figures.items()}}
    picture = "".join(panel(name, inline_svg(plot, name + words)) for name, plot in figures.items())
    controls = radios([*figures], legend, chosen, digest(words + picture))
    return Figure("choices", data, alt, picture, caption, title, controls)


def _check(name: str, figure: object, alt: str) -> None:
    from matplotlib.figure import Figure as Plot

    if not isinstance(figure, Plot):
        raise InputError(f"{name} is a {type(figure).__name__}, not a matplotlib Figure. Of axes, pass axes.figure.")
    if not alt.strip():
        raise InputError("alt is empty; say what there is to see, for readers who do not see it.")
