"""Measured speeds beside transformers, as a page shows them. Every word that judges is chosen by the numbers.

The results are those of ``benchmarks/speed.py``: cases of one size, family and dtype, each with rows of prefill and of
decode by length, in seconds, and the bytes a second at which the machine read memory in the same minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glm_edu.errors import CheckpointError, ResultsNotFoundError
from glm_edu.page.element import Element
from glm_edu.page.proof import target_proof
from glm_edu.page.table import table

PREFILL, DECODE = 1.0, 1.2  # times as fast as transformers
OF_CEILING = {"6B, 2 layers": 0.8, "135M": 0.5}
Case = dict[str, Any]


def load_results(file: str | Path) -> dict[str, Any]:
    """The results that a benchmark stored.

    Raises:
        ResultsNotFoundError: there is no such file; the message has the command that makes it.
        CheckpointError: it is not JSON.
    """
    file = Path(file)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        command = f"python -m benchmarks.{file.stem} --write"
        raise ResultsNotFoundError(f"There is no {file}; `{command}` measures it.") from error
    except ValueError as error:
        raise CheckpointError(f"{file} is not valid JSON: {error}. Measure it again.") from error


def ratio_table(results: dict[str, Any], kind: str) -> Element:
    """How many times as fast as transformers, by length: ``kind`` is "prefill" or "decode"."""
    rows = [[_name(case), *(f"{row['ratio']:.2f}" for row in case[kind].values())] for case in results["cases"]]
    if kind == "decode":
        for row, case in zip(rows, results["cases"], strict=True):
            row.append(f"{case['generate']['ratio']:.2f}")
    lengths = list(results["cases"][0][kind])
    least, most = _extremes(results, kind)
    what = "A prompt's tokens at once" if kind == "prefill" else "A step after that many tokens, and `generate` from 64"
    caption = (
        f"{what}, in times as fast as transformers with the better of its two caches. "
        f"**Notice** the range: {least:.2f} to {most:.2f}."
    )
    return table(["", *lengths, *(["generate"] if kind == "decode" else [])], rows, caption)


def ceiling_table(results: dict[str, Any]) -> Element:
    """Milliseconds a step, and which share of the memory's speed that is, for ours and for the better peer."""
    rows = []
    for case in results["cases"]:
        for length, row in case["decode"].items():
            peer = row["best_peer"]
            rows.append([
                f"{_name(case)}, after {length}", f"{row['glm_edu'] * 1e3:.1f} · {row['glm_edu_of_ceiling']:.0%}",
                f"{row[peer] * 1e3:.1f} · {row[f'{peer}_of_ceiling']:.0%}",
                f"{row['bytes'] / row['ceiling'] * 1e3:.1f}", f"{row['ceiling'] / 1e9:.0f}",
            ])  # fmt: skip
    caption = (
        "Milliseconds a step · share of the ceiling. The ceiling is the time to read every weight and all keys and "
        "values once, at the fastest speed at which this machine read memory in the same minutes."
    )
    return table(["", "glm_edu", "transformers", "ceiling, ms", "GB/s"], rows, caption)


def context_table(results: dict[str, Any]) -> Element:
    """What a longer context adds to a step, beside the reading of its keys and values."""
    rows = [[_name(case), f"{more * 1e3:.2f}", f"{read * 1e3:.2f}", f"{theirs * 1e3:.2f}"]
            for case, more, read, theirs in map(_growth, results["cases"])]  # fmt: skip
    first, *_, last = results["cases"][0]["decode"]
    caption = (
        f"Milliseconds that a step takes more after {last} tokens than after {first}: measured, what reading those "
        "keys and values takes at the ceiling, and what transformers takes more."
    )
    return table(["", "glm_edu", "reading alone", "transformers"], rows, caption)


def targets(results: dict[str, Any]) -> list[tuple[bool, str, str]]:
    """What was aimed at: whether it is met, what it is, and the worst figure."""
    found = []
    for kind, least in (("prefill", PREFILL), ("decode", DECODE)):
        for case in results["cases"]:
            ratios = [row["ratio"] for row in case[kind].values()]
            what = f"{kind}, {_name(case)}: at least {least:.1f} times transformers at every length"
            found.append((min(ratios) >= least, what, " · ".join(f"{ratio:.2f}" for ratio in ratios)))
    for case in results["cases"]:
        if case["size"] in OF_CEILING:
            share = OF_CEILING[case["size"]]
            shares = [row["glm_edu_of_ceiling"] for row in case["decode"].values()]
            what = f"decode, {_name(case)}: at least {share:.0%} of the ceiling"
            found.append((min(shares) >= share, what, " · ".join(f"{of:.0%}" for of in shares)))
    return found


def target_rows(results: dict[str, Any]) -> Element:
    """The targets, met or not."""
    return target_proof(targets(results))


def _growth(case: Case) -> tuple[Case, float, float, float]:
    """Seconds that the longest context adds to the shortest: ours, the reading alone, theirs."""
    first, *_, last = case["decode"].values()
    read = (last["bytes"] - first["bytes"]) / last["ceiling"]
    peer = last["best_peer"]
    return case, last["glm_edu"] - first["glm_edu"], read, last[peer] - first[peer]


def _extremes(results: dict[str, Any], kind: str) -> tuple[float, float]:
    ratios = [row["ratio"] for case in results["cases"] for row in _rows(case, kind)]
    return min(ratios), max(ratios)


def _rows(case: Case, kind: str) -> Iterator[Case]:
    yield from case[kind].values()
    if kind == "decode":
        yield case["generate"]


def _name(case: Case) -> str:
    return f"{case['size']}, {case['family']}, {case['dtype']}"
