"""The module tree under controls: each change is the tree of that config."""

from dataclasses import replace

from glm_edu import ModelConfig
from glm_edu.figures import module_trees
from glm_edu.source_map import module_tree
from glm_edu.widgets import explore_tree


def drawn(name: str, config: ModelConfig) -> dict:
    return module_trees({name: module_tree(config)}).data


def test_the_tree_follows_each_control():
    box, config = explore_tree("chatglm2-6b"), ModelConfig.preset("chatglm2-6b")
    assert box.figure.data == drawn("chatglm2-6b", config)
    for control, value, field in (("layers", 3, "num_layers"), ("groups", 16, "num_kv_groups"),
                                  ("width", 2048, "feedforward_size"), ("shared", True, "tied_head")):  # fmt: skip
        box.controls[control].value = value
        config = replace(config, **{field: value})
        assert box.figure.data == drawn("chatglm2-6b", config), control
    assert box.picture.value == box.figure.html


def test_the_first_generation_keeps_a_key_for_every_head():
    box = explore_tree("chatglm2-6b")
    box.controls["preset"].value = "chatglm-6b"
    sizes = dict(feedforward_size=13696)  # where the control stands
    assert box.figure.data == drawn("chatglm-6b", replace(ModelConfig.preset("chatglm-6b"), **sizes))
