"""Run notebooks and store their outputs, byte for byte the same on every run.

    python tools/run_notebooks.py                 every notebook under book/
    python tools/run_notebooks.py --check PATH    run, compare with what is stored, write nothing

The ``.ipynb`` with its outputs is the one source of a page. What differs from run to run is kept out of it: no
timings, no random cell ids, no widget state, no version of the interpreter. A cell tagged ``live-kernel`` runs (so that
it cannot rot) but its output is not stored: the site says there that it needs a live kernel.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
BUDGET = 90  # seconds a notebook may take on two CPU cores
# Ids that editors make up: eight hex digits, or a uuid. Names that an author chose are kept.
RANDOM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){0,3}(-[0-9a-f]{12})?|cell-\d+")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(path: Path) -> str:
    """The notebook at ``path`` as text, executed in its own directory. Raises nbclient's errors."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=BUDGET,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],  # errors only: the kernel otherwise warns about its local connection
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    return nbformat.writes(settled(notebook)) + "\n"


def settled(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without anything that differs from run to run or from machine to machine."""
    kept = {key: value for key, value in notebook.metadata.items() if key not in ("widgets", "toc", "vscode")}
    notebook.metadata = nbformat.from_dict({**kept, **METADATA})
    for number, cell in enumerate(notebook.cells):
        if RANDOM_ID.fullmatch(cell.get("id", "") or "cell-0"):
            cell["id"] = f"cell-{number}"
        for key in ("execution", "trusted", "collapsed"):
            cell.metadata.pop(key, None)
        if "live-kernel" in cell.metadata.get("tags", []):
            leave_live(cell)
    return notebook


def leave_live(cell: nbformat.NotebookNode) -> None:
    """A cell that needs a live kernel stores no output, and nbval compares none."""
    cell.outputs = []
    if "nbval-ignore-output" not in cell.metadata.tags:
        cell.metadata.tags.append("nbval-ignore-output")


def what_failed(error: Exception) -> str:
    """The kernel's own words, without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()


def process(path: Path, check: bool) -> tuple[bool, str]:
    """Run one notebook: whether all is well, and what to print."""
    start = time.monotonic()
    before = path.read_text(encoding="utf-8")
    try:
        after = run(path)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return False, f"FAILED, nothing written\n{what_failed(error)}"
    took = f"{time.monotonic() - start:.1f} s"
    if before == after:
        return True, f"{took}, unchanged"
    if check:
        return False, f"{took}, DIFFERS from what is stored: run `make notebooks` and look at the difference"
    path.write_text(after, encoding="utf-8")
    return True, f"{took}, written"


def notebooks(names: list[str]) -> list[Path]:
    """The notebooks to run: those named, or all of the book."""
    if names:
        return [Path(name).resolve() for name in names]
    return sorted(path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run notebooks and store their outputs, the same bytes every time.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a stored output would change")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="notebooks (default: every one under book/)")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order, so that the last digit is the same on every machine
    os.environ["PYTHONHASHSEED"] = "0"
    paths = notebooks(options.paths)
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    failures = 0
    for number, path in enumerate(paths, start=1):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        print(f"[{number}/{len(paths)}] {name} ... ", end="", flush=True)
        good, words = process(path, options.check)
        print(words, flush=True)
        failures += not good
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
