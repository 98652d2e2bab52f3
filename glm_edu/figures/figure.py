"""The wrapper of every picture: data for tests and scripts, alt text, caption, and HTML that needs no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.markup import esc, plain, rich, script_json
from glm_edu.figures.palette import WORDS, tokens_css
from glm_edu.figures.stylesheet import rules

ASSETS = Path(__file__).parent  # live.js, live.css: the site copies them beside plotly.min.js


@dataclass(frozen=True)
class Figure:
    """One picture. Displays itself in a notebook; on the site ``live.js`` adds the controls.

    ``data`` is what the picture shows, JSON-able: tests read it. ``picture`` is HTML that is right with no script.
    ``caption`` says what to notice and may hold ``**bold**`` and `` `code` ``; ``alt`` says what there is to see.
    """

    kind: str
    data: dict[str, Any]
    alt: str
    picture: str
    caption: str = ""
    title: str = ""
    controls: str = ""  # HTML above the picture that works with no script

    @property
    def html(self) -> str:
        """The figure element, with its style, its static picture and its data."""
        title = f'<p class="glm-title">{rich(self.title)}</p>' if self.title else ""
        caption = f"<figcaption>{rich(self.caption)}</figcaption>" if self.caption else ""
        words = {name: word for name, word in WORDS[self.kind].items() if not name.startswith("alt")}
        data = script_json({"data": self.data, "words": words})
        style = figure_css(self.kind, self.picture)
        return (
            f'<figure class="glm-figure" data-figure="{esc(self.kind)}"><style>{style}</style>{title}{self.controls}'
            f'<div class="glm-picture" role="img" tabindex="0" aria-label="{esc(plain(self.alt))}">{self.picture}</div>'
            f'{caption}<script type="application/json">{data}</script></figure>'
        )

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"Figure({self.kind}: {plain(self.alt)})"


def figure_css(kind: str, picture: str = "") -> str:
    """The rules that a figure carries: the colours it uses, the frame, and its kind's section of ``figure.css``."""
    live = (ASSETS / "live.css").read_text(encoding="utf-8")  # the controls need their colours too
    css = rules(ASSETS / "figure.css", ("every figure", kind))
    return tokens_css(".glm-figure", css + live + picture) + css


def fill(kind: str, word: str, **values: object) -> str:
    """One of the palette's words with its {braces} filled in. Not yet escaped."""
    return WORDS[kind][word].format(**values)


def check_rank(name: str, tensor: Tensor, axes: str, hint: str = "") -> None:
    """Raise InputError unless ``tensor`` has one dimension for each letter of ``axes``."""
    if tensor.ndim != len(axes.split()):
        raise InputError(f"{name} has shape {tuple(tensor.shape)}; this figure takes [{axes}]. {hint}".rstrip())


def check_tokens(name: str, tokens: Sequence[str], length: int, axis: str) -> None:
    """Raise InputError unless there is one token for each of ``length`` entries of ``axis``."""
    if len(tokens) != length:
        raise InputError(f"{name} has {len(tokens)} entries, but the tensor's {axis} axis has {length}: give one each.")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise InputError if a number is NaN or infinite: it could not be drawn, and it hides a mistake."""
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise InputError(f"{name} holds {bad} values that are NaN or infinite; find out where from before drawing.")
