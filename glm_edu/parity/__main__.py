"""``python -m glm_edu.parity``: every case, every planted mistake, and the worst tensor of each family.

Exits with 1 when a tensor differs, or when a mistake is not caught where it was made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from glm_edu.errors import GLMError
from glm_edu.parity.ledger import Ledger, Line, caught, lines_of, names
from glm_edu.parity.mistakes import MISTAKES

Item = TypeVar("Item")


def main(arguments: list[str] | None = None) -> int:
    """0 when every tensor of every case is equal and every mistake is caught where it was made, else 1."""
    argparse.ArgumentParser(
        prog="python -m glm_edu.parity",
        description="Compare every tensor with the official outputs, plant every known mistake, say what was found.",
    ).parse_args(arguments)
    try:
        lines = _cases()
        unseen = _mistakes()
    except GLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\nworst of each family")
    for family, same in lines.families().items():
        print(f"  {family:26} {same.worst.case:32} {_words(same.worst)}")
    equal = sum(same.ok for same in lines.cases().values())
    seen = f"{len(MISTAKES) - unseen} of {len(MISTAKES)} mistakes caught where they were made"
    print(f"\n{equal} of {len(lines.cases())} cases equal in {lines.compared} comparisons, {seen}")
    return 0 if lines.ok and not unseen else 1


def _cases() -> Ledger:
    lines: list[Line] = []
    for name in _bar(names(), "cases", len(names())):
        for case, same in lines_of(name).cases().items():
            verdict = "equal  " if same.ok else "DIFFERS"
            tqdm.write(f"{verdict}  {case:32} {len(same):3} tensors, worst {_words(same.worst)}")
            lines += same
    return Ledger(lines)


def _mistakes() -> int:
    """Print each mistake and where it was seen; return how many were not caught where they were made."""
    unseen = 0
    for mistake, first in _bar(caught(), "mistakes", len(MISTAKES)):
        good = first == mistake.first_wrong
        unseen += not good
        where = f"at {first}" if good else f"at {mistake.first_wrong} expected, {first or 'nothing'} seen"
        tqdm.write(f"{'caught ' if good else 'MISSED '}  {mistake.name:52} {where}")
    return unseen


def _bar(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """A progress bar on a terminal, nothing in a log."""
    return iter(tqdm(items, desc=what, total=total, disable=None, leave=False))


def _words(line: Line) -> str:
    figure = f"{line.max_difference:.0e} of {line.allowed} ({line.used:.0%} used)" if line.tolerance else "identical"
    return f"{line.tensor:34} {figure}"


if __name__ == "__main__":
    sys.exit(main())
