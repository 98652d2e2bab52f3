"""The shape flow lists what was recorded, in order, and marks the axes that are new."""

from math import prod

import pytest
from gallery import LENGTH, Markup, poem

from glm_edu.errors import GLMError
from glm_edu.figures import shape_flow
from glm_edu.record import Row


def test_rows_are_the_recorded_tensors_in_order():
    seen = poem().seen
    rows = shape_flow(seen.table()).data["rows"]
    assert [row["full"] for row in rows] == list(seen)
    assert [tuple(row["shape"]) for row in rows] == [tuple(tensor.shape) for tensor in seen.values()]
    assert [row["numbers"] for row in rows] == [tensor.numel() for tensor in seen.values()]


def test_parts_are_start_blocks_and_end():
    figure = shape_flow(poem().seen.table())
    assert figure.data["groups"] == ["start", "0", "1", "2", "end"]
    assert [row["full"] for row in figure.data["rows"] if row["group"] == "end"] == ["final_norm", "logits"]


def test_an_axis_is_new_when_the_row_before_lacks_it():
    rows = {row["full"]: row for row in shape_flow(poem().seen.table()).data["rows"]}
    assert rows["blocks.0.attention.query"]["new"] == [False, True, True, True]  # b n q d after b s h
    assert rows["blocks.0.attention.probs"]["new"] == [False] * 4
    assert rows["logits"]["new"] == [False, False, True]  # b s v after b s h


def test_blocks_that_repeat_the_first_are_folded_and_say_so():
    figure = shape_flow(poem().seen.table())
    folded = Markup(figure.picture).text["summary"]
    assert [line.split(":")[0] for line in folded] == ["block 1", "block 2"]
    per_block = sum(row["group"] == "0" for row in figure.data["rows"])
    assert all(f"the same {per_block} shapes as block 0" in line for line in folded)


def test_a_block_of_another_shape_is_not_folded():
    rows = [Row(f"blocks.{i}.output", "b s h", (1, 3, 4 + i), "float32", "out") for i in range(2)]
    assert "<summary>" not in shape_flow(rows).picture


def test_letters_stand_over_numbers_and_size_is_given():
    picture = shape_flow(poem().seen.table()).picture
    assert f"<b>q</b>{LENGTH}</span>" in picture
    assert f"{prod((1, LENGTH, 512)):,} × float32" in picture


def test_alt_text_names_the_largest_tensor():
    assert "The largest is logits, b s v = 1 × 13 × 512." in shape_flow(poem().seen.table()).alt


def test_what_does_not_fit_is_refused():
    with pytest.raises(GLMError, match="no rows"):
        shape_flow([])
    with pytest.raises(GLMError, match=r"logits: the letters 'b s' do not fit the shape \(1, 2, 3\)"):
        shape_flow([Row("logits", "b s", (1, 2, 3), "float32", "scores")])
