"""The overflow hunt: which power of two, what does not fit float16, and the widget that takes the norms out.

Mutations: a mean for the largest, 2^16 for 65504, the natural logarithm, or norms left in, and tests here fail.
"""

import pytest
import torch

from glm_edu import ModelConfig, Transformer, record
from glm_edu.errors import InputError
from glm_edu.figures.overflow import BLOCK, largest_map
from glm_edu.widgets.overflow import explore_overflow, without_norms

ROWS = (("stream", "input"),)


def drawn(*values: float):
    seen = {f"blocks.{i}.input": torch.tensor([[0.0, -value]]) for i, value in enumerate(values)}
    return largest_map({"": seen}, ROWS).data["tables"][""]


def test_a_cell_is_the_power_of_two_of_the_largest_number_whatever_its_sign():
    table = drawn(0.25, 1, 32, 300)
    assert table["text"] == [["−2", "0", "5", "8"]]
    assert table["weight"] == [[0, 0, 0.31, 0.51]]


def test_what_float16_cannot_hold_is_marked():
    table = drawn(65504, 65505, 2.0**40, float("inf"), float("nan"), 0)
    assert table["text"] == [["16", "16", "40", "∞", "NaN", "0"]]
    assert [weight < 0 for weight in table["weight"][0]] == [False, True, True, True, True, False]


def test_rows_are_the_tensors_of_a_block_in_order():
    model = Transformer(ModelConfig.preset("tiny-chatglm2"))
    with torch.no_grad(), record(model) as seen:
        model(torch.arange(6, 12)[None])
    table = largest_map({"": seen}).data["tables"][""]
    assert table["rows"] == [heading for heading, _ in BLOCK]
    assert table["columns"] == [str(i) for i in range(model.config.num_layers)]
    middle = seen["blocks.1.middle"].abs().max().log2()
    assert table["text"][3][1] == f"{round(float(middle))}".replace("-", "−")


def test_a_tensor_that_was_not_recorded_is_named():
    with pytest.raises(InputError, match=r"recordings\['a'\] has no blocks.0.middle"):
        largest_map({"a": {"blocks.0.input": torch.ones(1)}}, (*ROWS, ("+ stream", "middle")))


def test_the_first_row_may_be_a_part_of_a_part():
    seen = {f"blocks.{i}.attention.output": torch.ones(1) for i in range(2)}
    assert largest_map({"": seen}, (("attention", "attention.output"),)).data["tables"][""]["columns"] == ["0", "1"]


@pytest.mark.parametrize("recordings, rows", [({}, BLOCK), ({"a": {"blocks.0.input": torch.ones(1)}}, ())])
def test_nothing_to_draw_is_refused(recordings, rows):
    with pytest.raises(InputError, match="at least one recording and at least one row"):
        largest_map(recordings, rows)


def test_without_norms_the_first_residual_starts_from_the_embedding_itself():
    model = without_norms(Transformer(ModelConfig.preset("tiny-chatglm2")))
    with torch.no_grad(), record(model) as seen:
        model(torch.arange(6, 12)[None])
    assert seen["blocks.0.input_norm"].equal(seen["embedding"])
    assert seen["final_norm"].equal(seen[f"blocks.{model.config.num_layers - 1}.output"])


def shown(box, what):
    (table,) = box.figure.data["tables"].values()
    return [cell for row in table[what] for cell in row]


def test_the_overflow_widget_shows_infinity_without_norms_and_none_with_them():
    box = explore_overflow()
    assert "∞" in shown(box, "text")
    box.controls["dtype"].value = "float32"
    assert "∞" not in shown(box, "text") and min(shown(box, "weight")) < 0  # they exist, but not in float16
    box.controls["norm"].value = "layernorm"
    assert 0 < max(shown(box, "weight")) < 0.5 and min(shown(box, "weight")) >= 0
    box.controls["blocks"].value = 2
    assert len(shown(box, "text")) == 2 * len(BLOCK)
