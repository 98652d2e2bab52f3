"""Stored speeds on a page: the words follow the numbers."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import CASES, LENGTHS
from glm_edu.errors import CheckpointError, ResultsNotFoundError
from glm_edu.page.speed import (
    ceiling_table,
    context_table,
    load_results,
    ratio_table,
    target_rows,
    targets,
)


def _row(ours: float, ratio: float, of_ceiling: float, peer: str = "dynamic") -> dict[str, Any]:
    theirs = {"dynamic": 0.5, "static": 0.25}
    return {"glm_edu": ours, **theirs, "ratio": ratio, "best_peer": peer, "ceiling": 2e9, "bytes": 1e9,
            "glm_edu_of_ceiling": of_ceiling, "dynamic_of_ceiling": 0.4, "static_of_ceiling": 0.8}  # fmt: skip


def _results() -> dict[str, Any]:
    decode = {"64": _row(0.20, 1.25, 0.81), "512": _row(0.25, 1.21, 0.80, "static"), "2048": _row(0.40, 1.3, 0.79)}
    decode["2048"]["bytes"] = 1.2e9
    prefill = {length: _row(1.0, 0.99, 0.0) for length in decode}
    case = {"size": "6B, 2 layers", "family": "glm", "dtype": "float32", "parameters": 10, "difference": 0.0}
    return {"machine": {}, "cases": [case | {"prefill": prefill, "decode": decode, "generate": {"ratio": 2.0}}]}


def test_targets_are_met_where_the_worst_row_meets_them() -> None:
    prefill, decode, share = targets(_results())
    assert prefill == (False, "prefill, 6B, 2 layers, glm, float32: at least 1.0 times transformers at every length",
                       "0.99 · 0.99 · 0.99")  # fmt: skip
    assert decode[0] and decode[2] == "1.25 · 1.21 · 1.30"
    assert share == (False, "decode, 6B, 2 layers, glm, float32: at least 80% of the ceiling", "81% · 80% · 79%")
    assert "not met" in target_rows(_results()).summary


def test_small_models_have_no_target_of_the_ceiling() -> None:
    results = _results()
    results["cases"][0]["size"] = "15M"
    assert len(targets(results)) == 2


def test_ratios_stand_by_length_and_the_caption_names_their_range() -> None:
    text = ratio_table(_results(), "decode").summary
    assert "1.25, 1.21, 1.30, 2.00" in text and "1.21 to 2.00" in text
    assert "0.99 to 0.99" in ratio_table(_results(), "prefill").summary


def test_each_speed_has_its_ceiling_beside_it_and_the_better_peer() -> None:
    text = ceiling_table(_results()).summary
    assert "after 64, 200.0 · 81%, 500.0 · 40%, 500.0, 2" in text
    assert "after 512, 250.0 · 80%, 250.0 · 80%, 500.0, 2" in text


def test_a_longer_context_costs_what_the_last_row_has_more_than_the_first() -> None:
    assert "200.00, 100.00, 0.00" in context_table(_results()).summary  # ours, the reading, theirs


def test_results_that_are_absent_or_broken_say_what_measures_them(tmp_path: Path) -> None:
    with pytest.raises(ResultsNotFoundError, match=r"python -m benchmarks\.speed --write"):
        load_results(tmp_path / "speed.json")
    (tmp_path / "speed.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        load_results(tmp_path / "speed.json")


def test_stored_results_are_whole() -> None:
    """Every case that the benchmark has is stored, with all lengths, and both sides computed the same logits."""
    results = load_results(Path(__file__).parents[2] / "benchmarks" / "results" / "speed.json")
    assert [(case["size"], case["family"], case["dtype"]) for case in results["cases"]] == CASES
    for case in results["cases"]:
        assert list(case["prefill"]) == list(case["decode"]) == [str(length) for length in LENGTHS]
        assert case["difference"] == 0
