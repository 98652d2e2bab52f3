"""The model map: one drawing for the whole book, with this chapter's box lit."""

from collections.abc import Sequence

from glm_edu.errors import InputError
from glm_edu.figures.markup import esc, plain, rich
from glm_edu.page.element import Element, style

BOXES = (
    "tokens", "embedding", "norm", "positions", "scores", "mask", "heads", "residual", "feed-forward", "final norm",
    "logits",
)  # fmt: skip
BLOCK = ("norm", "feed-forward")  # the first and the last box that one block repeats
WORDS = {"label": "Model map; this chapter: {names}", "bracket": "one block, L times", "in": "in", "out": "out"}
LETTER, PADDING, LEAST, HEIGHT, GAP, ROW = 6.3, 12, 50, 26, 6, 40  # sizes in the drawing's own units
PHONE = 3  # boxes in a row where the page is narrow


def model_map(lit: str | Sequence[str], tensors_in: str = "", tensors_out: str = "") -> Element:
    """The boxes of the model in order, ``lit`` standing out; on a phone the lit boxes and their neighbours.

    ``tensors_in`` and ``tensors_out`` say under the map what enters and leaves the lit box, and may hold `code`.
    Raises InputError for a name that is not a box, and lists the boxes.
    """
    names = [lit] if isinstance(lit, str) else list(lit)
    unknown = [name for name in names if name not in BOXES]
    if unknown or not names:
        given = f"no box is called {', '.join(map(repr, unknown))}" if unknown else "no box is lit"
        raise InputError(f"{given}; the boxes of the model map are {', '.join(BOXES)}.")
    label = WORDS["label"].format(names=", ".join(names))
    drawing = _drawing("whole", [BOXES], names, label) + _drawing("near", _near(names), names, label)
    tensors = [(WORDS[side], text) for side, text in (("in", tensors_in), ("out", tensors_out)) if text]
    line = " · ".join(f"<b>{word}</b> {rich(text)}" for word, text in tensors)
    html = f'<div class="glm-map">{style("glm-map")}{drawing}{f"<p>{line}</p>" if line else ""}</div>'
    return Element("glm-map", "; ".join([label, *(f"{word} {plain(text)}" for word, text in tensors)]), html)


def _near(names: Sequence[str]) -> list[list[str]]:
    """The lit boxes and their neighbours, in rows that a phone can show."""
    lit = [BOXES.index(name) for name in names]
    kept = [box for i, box in enumerate(BOXES) if any(abs(i - j) <= 1 for j in lit)]
    return [kept[i : i + PHONE] for i in range(0, len(kept), PHONE)]


def _drawing(kind: str, rows: Sequence[Sequence[str]], lit: Sequence[str], label: str) -> str:
    spans = [_spans(row) for row in rows]
    width = max(x + w for row in spans for x, w in row.values())
    boxes = "".join(_box(box, x, ROW * i, w, box in lit) for i, row in enumerate(spans) for box, (x, w) in row.items())
    bracket = _bracket(spans[0]) if kind == "whole" else ""
    view = f'viewBox="-2 -4 {width + 4:g} {ROW * len(rows) + (22 if bracket else 0)}"'
    size = f'style="max-width:{1.4 * width:.0f}px"'  # so that three boxes do not grow to the width of a page
    return f'<svg class="{kind}" {view} {size} role="img" aria-label="{esc(label)}">{boxes}{bracket}</svg>'


def _spans(row: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Left edge and width of each box: wide enough for its word."""
    spans, x = {}, 0.0
    for box in row:
        width = round(max(LEAST, len(box) * LETTER + PADDING), 1)
        spans[box] = (x, width)
        x = round(x + width + GAP, 1)
    return spans


def _box(box: str, x: float, y: float, w: float, lit: bool) -> str:
    rect = f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{HEIGHT}" rx="4"/>'
    return f'<g{" class=lit" if lit else ""}>{rect}<text x="{x + w / 2:g}" y="{y + 17:g}">{esc(box)}</text></g>'


def _bracket(spans: dict[str, tuple[float, float]]) -> str:
    left, (x, w) = spans[BLOCK[0]][0], spans[BLOCK[1]]
    middle = (left + x + w) / 2
    return f'<path d="M{left:g} 32v5H{x + w:g}v-5"/><text x="{middle:g}" y="51">{esc(WORDS["bracket"])}</text>'
