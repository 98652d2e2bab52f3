"""Cells of a notebook of the book, run in this process: for a test of the code path that a reader takes."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BOOK = Path(__file__).resolve().parents[1] / "book"


def run_cells(notebook: str, ids: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the cells with these ids in their order: the names that they leave, and what each shows last, by id."""
    cells = {cell["id"]: cell for cell in json.loads((BOOK / notebook).read_text(encoding="utf-8"))["cells"]}
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = {}
    for key in ids:
        tree = ast.parse("".join(cells[key]["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{notebook}:{key}", "exec"), names)
        if isinstance(last, ast.Expr):
            shown[key] = eval(compile(ast.Expression(last.value), f"{notebook}:{key}", "eval"), names)
    return names, shown
