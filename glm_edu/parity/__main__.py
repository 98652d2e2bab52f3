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
from glm_edu.parity.case import case_names
from glm_edu.parity.ledger import Ledger, Line, caught, lines_of
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
    for family, line in lines.worst().items():
        print(f"  {family:26} {line.case:28} {_words(line)}")
    equal = sum(all(line.ok for line in same) for same in lines.cases().values())
    compared = sum(line.compared for line in lines)
    print(f"\n{equal} of {len(lines.cases())} cases equal in {compared} comparisons, "
          f"{len(MISTAKES) - unseen} of {len(MISTAKES)} mistakes caught where they were made")  # fmt: skip
    return 0 if lines.ok and not unseen else 1


def _cases() -> Ledger:
    lines: list[Line] = []
    for name in _bar(case_names(), "cases", len(case_names())):
        same = lines_of(name)
        worst = max(same, key=lambda line: line.used)
        verdict = "equal  " if all(line.ok for line in same) else "DIFFERS"
        tqdm.write(f"{verdict}  {name:28} {len(same):3} tensors, worst {_words(worst)}")
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
    tolerance = f"{line.tolerance:.0e} + {line.relative:.0e} |x|"
    return f"{line.tensor:34} {line.max_difference:.0e} of {tolerance} ({line.used:.0%} used)"


if __name__ == "__main__":
    sys.exit(main())
