"""Stored loading and memory on a page: the words follow the numbers."""

from pathlib import Path
from typing import Any

from glm_edu.page.memory import load_table, load_targets, memory_table
from glm_edu.page.speed import load_results

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def _load(ours: float, own: float) -> dict[str, Any]:
    def row(way: str, over: float, held: float) -> dict[str, Any]:
        return {"way": way, "seconds": 2 * over, "over_read_through": 3.0, "over_read_whole": over,
                "own_over_weights": held, "all_over_weights": 1.5}  # fmt: skip

    rows = [row("read into memory", 1.0, 1.0), row("glm_edu", ours, own), row("transformers", 9.0, 2.0)]
    case = {"layout": "llama", "layers": 3, "kind": "mapped", "cold": False, "gb_in_the_files": 2.04, "rows": rows}
    return {"targets": {"time": 1.1, "memory": 1.05}, "results": [case]}


def _peak(ratio: float) -> dict[str, Any]:
    row = {"size": "15M", "what": "call", "context": 512, "batch": 4, "dtype": None, "quantize": "int8"}
    return {"rows": [row | {"predicted": 2e8, "measured": 2e8 / ratio, "ratio": ratio}]}


def test_loading_is_held_against_its_own_row() -> None:
    said = load_targets(_load(1.1, 1.06)).summary
    assert "met, load, llama, mapped, warm: at most 1.1 times reading the bytes, 1.10" in said
    assert "not met, own memory, llama, mapped, warm: at most 1.05 times the weights, 1.06" in said


def test_every_way_of_loading_has_its_row() -> None:
    said = load_table(_load(0.5, 1.0)).summary
    assert "2.0 GB" in said
    assert "llama, mapped, warm: glm_edu, 1.00, 0.50, 1.00, 1.50" in said
    assert "llama, mapped, warm: transformers, 18.00, 9.00, 2.00, 1.50" in said


def test_a_prediction_that_is_off_is_called_so() -> None:
    assert "4.0% off: within the 5%" in memory_table(_peak(0.96)).summary
    said = memory_table(_peak(1.06)).summary
    assert "6.0% off: not all within the 5%" in said
    assert "15M, int8: one call, every logit, 4 x 512 tokens, 200, 189, 1.060" in said


def test_stored_results_can_be_shown() -> None:
    assert "glm_edu" in load_table(load_results(RESULTS / "load.json")).summary
    assert "met" in load_targets(load_results(RESULTS / "load.json")).summary
    assert "15M" in memory_table(load_results(RESULTS / "memory.json")).summary
