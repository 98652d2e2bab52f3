"""Thousands of damaged checkpoints: each loads as exactly what its files say, or is refused by name.

    python -m tools.fuzz                      10,000 mutations, from seed 0
    python -m tools.fuzz --count 200          fewer
    python -m tools.fuzz --seed 4711 --count 1 --verbose

Each seed is one mutation of one sound directory, the same every time. They are loaded in a process of its own, which
is watched: a crash, a hang of more than 20 seconds, a foreign error, a wrong tensor, a file written, or memory taken
without bounds is a failure. The exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from tools.fuzz.bases import write_bases

SECONDS = 20
ROOT = Path(__file__).parents[2]


class Worker:
    """A process that loads; it is started anew after a crash or a hang."""

    def __init__(self, bases: Path, place: Path) -> None:
        self.command = [sys.executable, "-m", "tools.fuzz.worker", str(bases), str(place)]
        self.said = (place.parent / "said").open("w+", encoding="utf-8")
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True, cwd=ROOT
        )
        self.fresh = True

    def ask(self, seed: int) -> dict[str, str]:
        """What comes of ``seed``."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{seed}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS + 100 * self.fresh)  # fresh: it imports
        line = self.process.stdout.readline() if ready else ""
        self.fresh = False
        if line:
            return dict(json.loads(line))
        code = self.stop()
        self.said.seek(0)
        last = self.said.read()[-300:]
        self._start()
        return {"base": "", "mutation": "", "outcome": "CRASH" if ready else "HANG", "detail": f"exit {code} {last}"}

    def stop(self) -> int:
        """End the process; its exit code."""
        self.process.kill()
        return self.process.wait()


def fuzz(count: int, seed: int, verbose: bool = False) -> tuple[Counter[str], list[str]]:
    """Tally of outcomes, and a line for each failure."""
    tally: Counter[str] = Counter()
    failures = []
    with tempfile.TemporaryDirectory() as made:
        bases = Path(made, "bases")
        bases.mkdir()
        write_bases(bases)
        worker = Worker(bases, Path(made, "place"))
        for number in tqdm(range(seed, seed + count), unit="load", disable=None):
            answer = worker.ask(number)
            tally[answer["outcome"]] += 1
            line = f"seed {number}: {answer['base']}, {answer['mutation']}: {answer['outcome']} {answer['detail']}"
            if answer["outcome"].isupper():
                failures.append(line)
            if verbose:
                print(line)
        worker.stop()
    return tally, failures


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="a line for every mutation")
    given = parser.parse_args()
    tally, failures = fuzz(given.count, given.seed, given.verbose)
    print("\n".join([f"{number:>7} {outcome}" for outcome, number in sorted(tally.items())] + failures))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
