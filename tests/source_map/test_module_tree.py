"""The module trees are those of the official models: line by line where transformers has them, by names elsewhere."""

import importlib
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from glm_edu import ModelConfig, Transformer
from glm_edu.checkpoints.sketch import sketch
from glm_edu.parity import Case, case_names
from glm_edu.source_map import module_tree
from glm_edu.source_map.tree import FUNCTIONS

CASES = [name for name in case_names() if "ptuning" not in name]  # a prefix is not of the tree
PRESETS = ("chatglm-6b", "chatglm2-6b", "chatglm3-6b", "llama-7b")


def config_of(case: str) -> ModelConfig:
    return ModelConfig.from_official(json.loads((Case(case).directory / "config.json").read_text(encoding="utf-8")))


def printed(layout: str) -> dict[str, str]:
    """(path -> class) of a model of one layer, from the library itself."""
    import transformers

    sizes = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                 num_key_value_heads=2, head_dim=8, pad_token_id=0)  # fmt: skip
    name = layout.title()
    with torch.device("meta"):
        model = getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**sizes))
    return {path.replace(".0", ".{i}"): type(module).__name__ for path, module in model.named_modules()}


@pytest.mark.parametrize("case", ["llama_prefill", "glm4_prefill"])
def test_the_tree_is_the_one_that_transformers_prints(case: str) -> None:
    config = config_of(case)
    lines = [(line.path, line.kind) for line in module_tree(config)]
    assert lines == list(printed(config.layout).items())


@pytest.mark.parametrize("case", CASES)
def test_its_leaves_are_the_tensors_of_the_official_file(case: str) -> None:
    """A tensor more or less, and a wrong shape or place of ours, would show."""
    config, weights = config_of(case), load_file(Case(case).directory / "model.safetensors")
    model = dict(Transformer(config).named_modules())
    here = {name: list(tensor.shape) for name, tensor in weights.items() if name.endswith(".weight")}
    drawn, count = {}, 0
    for line in module_tree(config):
        for i in range(config.num_layers if "{i}" in line.path else 1):
            if line.parameters and line.shape:  # a shared head is in no file
                drawn[f"{line.path.format(i=i)}.weight"] = list(line.shape)
                count += sum(p.numel() for stem in line.ours for p in model[stem.format(i=i)].parameters())
    assert drawn == here
    assert count == module_tree(config)[0].parameters


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("changes", [{}, {"tied_head": True}, {"final_norm": False}, {"prefix_length": 8}], ids=str)
def test_its_count_is_that_of_the_config(preset: str, changes: dict) -> None:
    config = replace(ModelConfig.preset(preset), **changes)
    lines = module_tree(config)
    assert lines[0].parameters == config.parameter_count == sum(line.parameters for line in lines if line.shape)


def test_what_it_calls_ours_is_there() -> None:
    modules = dict(sketch(ModelConfig.preset("tiny-chatglm2")).named_modules())
    names = {name.format(i=0) for case in CASES for line in module_tree(config_of(case)) for name in line.ours}
    functions = {name for name in names if name in FUNCTIONS.values()}
    for name in functions:
        module, function = name.split(".")
        assert callable(getattr(importlib.import_module(f"glm_edu.model.{module}"), function))
    assert names - functions - {"Transformer"} <= modules.keys()
