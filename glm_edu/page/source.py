"""Reading the package's own source: docstrings left out, shape comments apart, the official source of a module."""

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# A shape comment: letters of the notation and numbers, with products, as in "b n q d", "b s n*d" or "c b 1 s r/2".
FACTOR = r"(?:\d*[bsqkhngdfvLcrp]|\d+|width|capacity)"
AXIS = rf"\(?{FACTOR}(?:[*/+-]{FACTOR})*\)?"
SHAPE = re.compile(rf"#\s*({AXIS}(?:,?\s{AXIS})*)(?:\s{{2,}}(.*))?")
FOR_TOOLS = re.compile(r"\s*# (fmt|type|noqa)\b.*")
REMOVED = "\0"  # stands in for a line to drop, so that line numbers stay valid meanwhile


def source_lines(target: Any, docstring: bool) -> list[str]:
    """The source of a function, class or module, line by line, without comments that only tools read."""
    source = textwrap.dedent(inspect.getsource(target)).rstrip("\n")
    source = source if docstring else without_docstrings(source)
    return [FOR_TOOLS.sub("", line) for line in source.splitlines()]


def without_docstrings(source: str) -> str:
    """``source`` without docstrings and the blank line after them; a body that is nothing else keeps its own."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) or len(node.body) == 1:
            continue
        if ast.get_docstring(node, clean=False) is not None:
            first, end = node.body[0].lineno - 1, node.body[0].end_lineno or 0
            end += end < len(lines) and not lines[end].strip()
            lines[first:end] = [REMOVED] * (end - first)
    return "\n".join(line for line in lines if line is not REMOVED)


def split_shapes(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Each line as (code, shape): a comment that names a shape is taken off; words after it stay as a comment."""
    split = [(line, "") for line in lines]
    for token in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
        row, column = token.start
        code = lines[row - 1][:column] if token.type == tokenize.COMMENT else ""
        if code.strip() and code.endswith("  ") and (match := SHAPE.fullmatch(token.string.rstrip())):
            split[row - 1] = (code.rstrip() + (f"  # {match[2]}" if match[2] else ""), match[1])
    return split


def official_source(module: ModuleType) -> str:
    """What a module's header says after ``Official:``, up to the next heading, without the final stop."""
    header = inspect.getdoc(module) or ""
    match = re.search(r"^Official:\s*(.+?)(?=\n\s*\n|\n\w+:|\Z)", header, re.MULTILINE | re.DOTALL)
    return re.sub(r"\s+", " ", match[1]).replace("`", "").strip().rstrip(".") if match else ""
