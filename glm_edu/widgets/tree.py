"""Turn the sizes of a model and watch where its parameters go."""

from __future__ import annotations

from dataclasses import replace

from ipywidgets import Checkbox, Dropdown, IntSlider, SelectionSlider

from glm_edu import ModelConfig
from glm_edu.figures import Figure, module_trees
from glm_edu.figures.palette import WORDS
from glm_edu.figures.panels import check_choice
from glm_edu.source_map import module_tree
from glm_edu.widgets.explorer import Explorer

PRESETS = ("chatglm-6b", "chatglm2-6b", "llama-7b")
GROUPS = (1, 2, 4, 8, 16, 32)  # they divide the 32 heads of each preset


def explore_tree(preset: str = "chatglm2-6b", *, caption: str = "") -> Explorer:
    """Layers, kv groups, width of the feed-forward and a shared head, over the module tree that they make.

    The column of ``preset`` is where the controls begin; another choice of it keeps their values. Raises InputError for
    a preset that is not one of ``PRESETS``.
    """
    check_choice("the list of models", PRESETS, preset, least=1)
    words, start = WORDS["module_trees"], ModelConfig.preset(preset)

    def draw(preset: str, layers: int, groups: int, width: int, shared: bool) -> Figure:
        config = ModelConfig.preset(preset)
        per_head = config.layout == "chatglm"  # its fused rows have a key and a value for every head
        sizes = replace(
            config, num_layers=layers, num_kv_groups=config.num_heads if per_head else groups,
            feedforward_size=width, tied_head=shared,
        )  # fmt: skip
        return module_trees({preset: module_tree(sizes)}, caption=caption)

    return Explorer(
        draw,
        preset=Dropdown(options=PRESETS, value=preset, description=words["preset"]),
        layers=IntSlider(value=start.num_layers, min=1, max=80, description=words["layers"]),
        groups=SelectionSlider(options=GROUPS, value=start.num_kv_groups, description=words["groups"]),
        width=IntSlider(value=start.feedforward_size, min=1024, max=32768, step=128, description=words["width"]),
        shared=Checkbox(value=start.tied_head, description=words["shared"]),
    )
