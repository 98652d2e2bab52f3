"""Docstrings are plain English with a little reStructuredText: a bar in one means a magnitude, not a substitution."""

import re

from sphinx.application import Sphinx


def escape_bars(text: str) -> str:
    """``text`` with the bars outside literals escaped: |x| stays |x| on the page."""
    pieces = re.split(r"(``.*?``)", text)
    return "".join(piece if piece.startswith("``") else piece.replace("|", r"\|") for piece in pieces)


def process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = [escape_bars(line) for line in lines]


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", process)
