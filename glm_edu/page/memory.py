"""Measured loading and memory, as a page shows them. Every word that judges is chosen by the numbers.

The results are those of ``benchmarks/load.py`` (time and memory of a sharded checkpoint of random numbers) and of
``benchmarks/memory.py`` (the plan's prediction beside the peak that the system counted).
"""

from __future__ import annotations

from typing import Any

from glm_edu.page.element import Element
from glm_edu.page.proof import target_proof
from glm_edu.page.table import table

PREDICTED_WITHIN = 0.05
READING = "read into memory"  # what a load that maps nothing has to do at least
WHAT = {"load": "loading", "generate": "a prompt, and two tokens more", "call": "one call, every logit"}


def load_table(results: dict[str, Any]) -> Element:
    """Seconds of each way to load each checkpoint, beside reading its bytes, and memory beside its weights."""
    rows = []
    for case in results["results"]:
        cache = "cold" if case["cold"] else "warm"
        for row in case["rows"]:
            rows.append([
                f"{case['layout']}, {case['kind']}, {cache}: {row['way']}", f"{row['seconds']:.2f}",
                f"{row['over_read_whole']:.2f}", f"{row['own_over_weights']:.2f}", f"{row['all_over_weights']:.2f}",
            ])  # fmt: skip
    sizes = " and ".join(sorted({f"{case['gb_in_the_files']:.1f}" for case in results["results"]}))
    caption = (
        f"Shards of random numbers in float16, {sizes} GB. Seconds, times those of reading the bytes into memory; own "
        "memory, and all memory (with pages of the files), in times the weights. Cold: no file was in memory yet."
    )
    return table(["", "seconds", "of reading", "own memory", "all memory"], rows, caption)


def load_targets(results: dict[str, Any]) -> Element:
    """Whether loading kept to what was aimed at, for each checkpoint."""
    time, memory = results["targets"]["time"], results["targets"]["memory"]
    found = []
    for case in results["results"]:
        what = f"{case['layout']}, {case['kind']}, {'cold' if case['cold'] else 'warm'}"
        ours = next(row for row in case["rows"] if row["way"].startswith("glm_edu"))
        took, own = ours["over_read_whole"], ours["own_over_weights"]
        found.append((took <= time, f"load, {what}: at most {time} times reading the bytes", f"{took:.2f}"))
        found.append((own <= memory, f"own memory, {what}: at most {memory} times the weights", f"{own:.2f}"))
    return target_proof(found)


def memory_table(results: dict[str, Any]) -> Element:
    """The peak that the plan predicts and the one that was measured."""
    rows = [
        [_case(row), f"{row['predicted'] / 1e6:,.0f}", f"{row['measured'] / 1e6:,.0f}", f"{row['ratio']:.3f}"]
        for row in results["rows"]
    ]
    worst = max(abs(row["ratio"] - 1) for row in results["rows"])
    verdict = "within" if worst <= PREDICTED_WITHIN else "not all within"
    caption = (
        f"Peak memory in MB, predicted before a byte is read, and measured. **Notice** the worst row, {worst:.1%} off: "
        f"{verdict} the {PREDICTED_WITHIN:.0%} that we aimed at."
    )
    return table(["", "predicted", "measured", "ratio"], rows, caption)


def _case(row: dict[str, Any]) -> str:
    tokens = "" if row["what"] == "load" else f", {row['batch']} x {row['context']} tokens"
    form = f", {row['quantize'] or row['dtype']}" if row["quantize"] or row["dtype"] else ""
    return f"{row['size']}{form}: {WHAT[row['what']]}{tokens}"
