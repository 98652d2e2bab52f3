"""The measures of what quantization costs, and the stored figures that the book shows."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch

from glm_edu import Transformer
from glm_edu.quantization import quantize_
from glm_edu.quantization.measure import moved, weight_error
from tests.tiny import tiny

STORED = Path(__file__).parents[2] / "benchmarks" / "results" / "quantization_error.json"


def test_the_error_of_weights_is_that_of_the_matrices_alone() -> None:
    """Two matrices' lengths, not the mean of two quotients; the embedding does not count."""
    model = tiny("tiny-llama", num_layers=1)
    small = quantize_(copy.deepcopy(model), 4)
    lost = whole = 0.0
    for name, layer in small.named_modules():
        if hasattr(layer, "weight_scale"):
            weight = model.get_parameter(f"{name}.weight").double()
            numbers = (weight / layer.weight_scale[:, None]).round()
            lost += float((numbers * layer.weight_scale[:, None] - weight).square().sum())
            whole += float(weight.square().sum())
    assert weight_error(model, small) == pytest.approx(math.sqrt(lost / whole), rel=1e-5)


def test_a_shift_of_all_logits_of_a_row_is_no_error() -> None:
    logits = torch.tensor([[1.0, 2.0, 6.0], [0.0, 3.0, 0.0]])
    same = moved(logits, logits + torch.tensor([[5.0], [-2.0]]))
    assert same.error < 1e-6 and same.same_first == 1.0
    other = moved(logits, torch.tensor([[6.0, 2.0, 1.0], [0.0, 3.0, 0.0]]))
    assert other.same_first == 0.5
    assert other.error == pytest.approx(math.sqrt(50 / (4 + 1 + 9 + 1 + 4 + 1)))


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_stored_errors_are_those_of_the_weights_that_ship(kind: str) -> None:
    """`python -m benchmarks.quantization_error --write` after every training."""
    stored = json.loads(STORED.read_text())["tang-glm"]["rows"][kind]["weights"]
    model = Transformer.from_pretrained("tang-glm")
    assert weight_error(model, Transformer.from_pretrained("tang-glm", quantize=kind)) == pytest.approx(
        stored, abs=2e-5
    )


def test_int4_costs_more_than_int8_everywhere_it_was_measured() -> None:
    for name, found in json.loads(STORED.read_text()).items():
        eight, four = found["rows"]["int8"], found["rows"]["int4"]
        assert eight["weights"] < four["weights"] and eight["error"] < four["error"], name
        assert eight["same_first"] > four["same_first"], name
