"""Source of the package, shown from the package: the code on the left, the shapes in a column of their own."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pygments.lexers import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType

import glm_edu
from glm_edu.errors import InputError
from glm_edu.figures.markup import esc
from glm_edu.page.element import Element, style
from glm_edu.page.source import official_source, source_lines, split_shapes

ROOT = Path(glm_edu.__file__).parent.parent
CLASSES = {
    Keyword: "k", Operator.Word: "k", String: "s", Comment: "c", Number: "s", Name.Builtin.Pseudo: "s",
    Name.Decorator: "k", Name.Function: "f", Name.Class: "f",
}  # fmt: skip


def listing(obj: Callable | type | ModuleType, highlight: Sequence[str] = (), *, docstring: bool = False) -> Element:
    """The source of a function, class or module of glm_edu as it stands on disk, never a copy.

    Lines that contain one of ``highlight`` are lit. Docstrings are left out unless ``docstring``. Comments that name a
    shape move to the right. Under it: the file, and what its header names as official source. Raises InputError for
    an object that is not of the package, and for a highlight that no line contains, so that a page cannot go stale.
    """
    target: Any = inspect.unwrap(obj) if callable(obj) else obj
    module = inspect.getmodule(target)
    if module is None or not hasattr(target, "__name__") or module.__name__.split(".")[0] != "glm_edu":
        raise InputError(
            f"{obj!r} is not a function, class or module of glm_edu; listing() shows the package's source."
        )
    lines = source_lines(target, docstring)
    lit = [highlight] if isinstance(highlight, str) else list(highlight)
    if missing := [text for text in lit if not any(text in line for line in lines)]:
        raise InputError(f"no line of {target.__name__} contains {missing[0]!r}; has the source changed?")
    path = Path(inspect.getsourcefile(target) or "").relative_to(ROOT).as_posix()
    official = official_source(module)
    origin = f"{path} · official: {official}" if official else path
    name = getattr(target, "__qualname__", target.__name__)
    label = f'role="group" aria-label="Source of {esc(name)}"'
    code = f'<pre tabindex="0" {label}><code>{_rows(lines, lit)}</code></pre>'
    html = f'<div class="glm-listing">{style("glm-listing")}{code}<p>{esc(origin)}</p></div>'
    return Element("glm-listing", f"{name}, {origin}", html)


def _rows(lines: Sequence[str], highlight: Sequence[str]) -> str:
    code, shapes = zip(*split_shapes(lines), strict=True)
    return "".join(
        _row(coloured, shape, any(text in line for text in highlight))
        for coloured, shape, line in zip(_coloured("\n".join(code)), shapes, lines, strict=True)
    )


def _row(coloured: str, shape: str, lit: bool) -> str:
    column = f'<span class="glm-shape">{esc(shape)}</span>' if shape else ""
    names = "glm-line glm-hit" if lit else "glm-line"
    code = coloured.lstrip(" ")  # a long line goes on below its own beginning
    indent = f'<span>{" " * spaces}</span>' if (spaces := len(coloured) - len(code)) else ""
    return f'<span class="{names}">{indent}<span class="glm-code">{code or " "}</span>{column}\n</span>'


def _coloured(code: str) -> Iterator[str]:
    """The lines of ``code``, escaped, with short classes for what each piece is."""
    line = ""
    for kind, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code):
        first, *others = text.split("\n")
        line += _span(kind, first)
        for piece in others:
            yield line
            line = _span(kind, piece)
    yield line


def _span(kind: _TokenType, text: str) -> str:
    name = next((name for family, name in CLASSES.items() if kind in family), "")
    return f'<span class="{name}">{esc(text)}</span>' if name and text.strip() else esc(text)
