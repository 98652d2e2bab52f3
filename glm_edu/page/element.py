"""A piece of HTML that displays itself in a notebook and carries its own style."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm_edu.figures.palette import tokens_css
from glm_edu.figures.stylesheet import rules

SHEET = Path(__file__).with_name("page.css")


@dataclass(frozen=True, repr=False)
class Element:
    """``name`` is its class on the page, ``summary`` what it is in words (for a terminal), ``html`` the whole of it."""

    name: str
    summary: str
    html: str

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{self.name}: {self.summary}"


def style(name: str, *more: str) -> str:
    """The style element that a page element of class ``name`` carries: its sections of ``page.css`` and its colours."""
    css = rules(SHEET, (name, *more))
    return f"<style>{tokens_css(f'.{name}', css)}{css}</style>"
