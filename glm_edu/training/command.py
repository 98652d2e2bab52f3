"""What the measuring commands share: measure, print the table, and store the results with ``--write``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from glm_edu.errors import GLMError
from glm_edu.training.results import store

Results = dict[str, Any]


def measuring_parser(name: str, description: str) -> argparse.ArgumentParser:
    """The parser of ``python -m glm_edu.training.NAME``, with its ``--write``."""
    parser = argparse.ArgumentParser(prog=f"python -m glm_edu.training.{name}", description=description)
    parser.add_argument("--write", action="store_true", help="store the results where the book reads them")
    return parser


def measure_and_show(name: str, measure: Callable[[], Results], show: Callable[[Results], str], write: bool) -> int:
    """Run one measurement; store it as ``name`` if wanted. Returns the exit code: 1 after an error, said on stderr."""
    try:
        results = measure()
    except GLMError as error:
        print(error, file=sys.stderr)
        return 1
    print(show(results))
    if write:
        print(f"stored in {store(name, results).name}")
    return 0


def target_lines(targets: Iterable[tuple[bool, str, str]]) -> Sequence[str]:
    """A line for each target: whether it is met, what was aimed at, and the figure."""
    return [f"{'met    ' if met else 'not met'} {what}: {got}" for met, what, got in targets]
