"""A matplotlib figure as inline SVG: the page's colours and letters in place of its own, and the same bytes each time.

The letters stay text, so that they can be read aloud, searched and translated. A colour of the palette becomes the
page's custom property, and so follows its theme; black becomes the page's ink and white its paper.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, fromstring, tostring

from glm_edu.figures.markup import significant
from glm_edu.figures.palette import FAMILIES, LIGHT, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Plot

COLOURS = {**{colour: name for name, colour in LIGHT.items()}, "#000000": "ink", "#ffffff": "paper"}
UNNAMED = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # a date would make new bytes each day
REFERENCE = re.compile(r'(?:url\(|href=")#([^")]+)')


def inline_svg(plot: Plot, salt: str) -> str:
    """The ``<svg>`` element of a matplotlib figure, which is closed. ``salt`` keeps its ids apart from another's."""
    source = _saved(plot)
    prefix, used = digest(salt + source), set(REFERENCE.findall(source))
    root = fromstring(source)
    view, width = root.attrib["viewBox"], plot.get_size_inches()[0]
    for element in root.iter():
        _clean(element, prefix, used)
    for parent in [*root.iter()]:
        for child in [child for child in parent if child.tag in ("style", "metadata")]:
            parent.remove(child)  # its style sheet would rule the whole page
    root.attrib = {"class": "glm-drawing", "style": f"--w:{width:g}", "viewBox": view, "aria-hidden": "true"}
    return tostring(root, encoding="unicode")


def digest(text: str) -> str:
    """A short name that follows from the text, for what must have one: ids and groups of radio buttons."""
    return "g" + hashlib.sha256(text.encode()).hexdigest()[:8]


def plot_data(plot: Plot) -> list[dict[str, Any]]:
    """What each axes shows: its words, and the label and the points of each line, to four significant digits."""
    return [_axes_data(axes) for axes in plot.axes]


def _axes_data(axes: Axes) -> dict[str, Any]:
    words = {"title": axes.get_title(), "x": axes.get_xlabel(), "y": axes.get_ylabel()}
    texts = [text.get_text() for text in axes.texts if text.get_text()]
    lines = []
    for line in axes.lines:
        label = str(line.get_label())
        points = {"x": _numbers(line.get_xdata(orig=False)), "y": _numbers(line.get_ydata(orig=False))}
        lines.append({"label": "" if label.startswith("_") else label, **points})
    return {**words, "texts": texts, "lines": lines}


def _numbers(values: Any) -> list[float | int | None]:
    return [significant(value) if math.isfinite(value) else None for value in values]  # None is a gap in the line


def _saved(plot: Plot) -> str:
    import matplotlib.pyplot as plt

    file = io.StringIO()
    with warnings.catch_warnings(), plt.rc_context(house_style()):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the page has letters that matplotlib has not
        plot.savefig(file, format="svg", transparent=True, metadata=UNNAMED)
    plt.close(plot)
    return file.getvalue()


def _clean(element: Element, prefix: str, used: set[str]) -> None:
    """Names without their namespace, ids of this drawing alone, short numbers, no blanks between elements."""
    element.tag = _local(element.tag)
    attributes = {_local(name): value for name, value in element.attrib.items()}
    if attributes.get("id") not in used:
        attributes.pop("id", None)
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    element.attrib = {name: _attribute(element.tag, name, value, prefix) for name, value in attributes.items()}
    if len(element) or element.tag not in ("text", "tspan"):
        element.text = None
    element.tail = None


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _attribute(tag: str, name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return value.replace("\n", "") if value.startswith("data:") else f"#{prefix}-{value[1:]}"
    if name in ("d", "x", "y"):
        return re.sub(r"\d+\.\d+", lambda number: f"{round(float(number[0]), 2):g}", " ".join(value.split()))
    value = value.replace("url(#", f"url(#{prefix}-")
    return _painted(value, tag in ("text", "tspan"))


def _painted(style: str, text: bool) -> str:
    """The page's letters and colours. Where a family colours text, it takes its ink, which is fit for small letters."""
    parts = [part for part in style.split("; ") if not part.startswith("font-family:")]
    ink = "-ink" if text else ""

    def colour(found: re.Match[str]) -> str:
        name = COLOURS.get(found[0])
        return f"var(--g-{name}{ink if name in FAMILIES else ''})" if name else found[0]

    return re.sub(r"#[0-9a-f]{6}\b", colour, ";".join(parts))
