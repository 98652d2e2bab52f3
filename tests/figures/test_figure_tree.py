"""Module trees: every line of the official tree with its bar, and one tree or a choice of them."""

import re
from dataclasses import replace

import pytest
from gallery import Markup

from glm_edu import ModelConfig
from glm_edu.errors import InputError
from glm_edu.figures import module_trees
from glm_edu.source_map import module_tree

TREES = {name: module_tree(ModelConfig.preset(name)) for name in ("chatglm-6b", "llama-7b")}


def test_a_row_a_line_with_names_shape_and_count():
    figure = module_trees({"chatglm-6b": TREES["chatglm-6b"]})
    rows = figure.picture.split("<tr")[2:]
    assert len(rows) == len(TREES["chatglm-6b"])
    fused = next(row for row in rows if "query_key_value" in row)
    words = Markup("<tr" + fused)
    assert words.text["code"] == ["(query_key_value)", "attention.query", "attention.key", "attention.value"]
    assert "12288 × 4096" in words.text["td"] and words.text["td"][-1].startswith("1,409,630,208")
    assert not figure.controls


def test_layers_that_are_alike_share_a_line_and_one_layer_stands_as_it_is():
    tiny = ModelConfig.preset("tiny-chatglm2")
    for layers, name, kind in ((3, "(0-2)", "3 × GLMBlock"), (1, "(0)", "GLMBlock")):
        figure = module_trees({"tiny": module_tree(replace(tiny, num_layers=layers))})
        row = Markup("<tr" + next(row for row in figure.picture.split("<tr") if "GLMBlock" in row))
        assert (row.text["code"][0], row.text["span"][0]) == (name, kind)
        whole, one = (figure.data["trees"]["tiny"][line]["parameters"] for line in (0, 7))
        assert row.text["small"][0] == (f"3 × {one // 3:,}" if layers == 3 else f"{one / whole:.1%}")
        assert row.all("tr")[0]["style"] == "--d:4"


def test_bars_compare_between_models():
    """The largest model fills its bar, the other its share of it."""
    figure = module_trees(TREES, legend="Model", chosen="llama-7b")
    tops = [re.search(r"--p:([\d.]+)", part)[1] for part in figure.picture.split("<tbody>")[1:]]
    counts = [lines[0].parameters for lines in TREES.values()]
    assert [float(top) for top in tops] == [round(100 * count / max(counts), 2) for count in counts]
    assert figure.controls.count("checked") == 1


@pytest.mark.parametrize("trees", [{}, {"nothing": []}])
def test_no_tree_is_refused(trees):
    with pytest.raises(InputError, match="no module tree"):
        module_trees(trees)


def test_a_choice_must_be_one_of_them():
    with pytest.raises(InputError, match="chosen is 'glm'"):
        module_trees(TREES, chosen="glm")
