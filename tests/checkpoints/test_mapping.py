"""Every number of an official file lands where the official code would use it: row by row, by index arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_models import CASES, GOLDEN

from glm_edu import Transformer
from glm_edu.checkpoints.layout import official_tensors
from glm_edu.checkpoints.name_maps import TABLES
from glm_edu.errors import CheckpointError

Rows = Callable[[int], int]


def _same(row: int) -> int:
    return row


def _split(official: dict[str, Any], part: int) -> Rows:
    """Our row of query (part 0), key (1) or value (2) -> its row in query_key_value."""
    heads = official["num_attention_heads"]
    d = official.get("kv_channels", official["hidden_size"] // heads)
    if official.get("multi_query_attention", False):
        groups = official["multi_query_group_num"]
        return lambda row: row + [0, heads * d, heads * d + groups * d][part]
    return lambda row: row // d * 3 * d + part * d + row % d


def _official_place(name: str, official: dict[str, Any]) -> tuple[str, Rows]:
    """Our tensor's name -> the official tensor that holds it and, for each of our rows, the row there."""
    stem, kind = name.rsplit(".", 1)
    block = stem.split(".")[1] if stem.startswith("blocks.") else ""
    part = stem.split(".", 2)[2] if block else stem
    hugging_face, v1 = official["model_type"] != "chatglm", "inner_hidden_size" in official
    if part.startswith("attention.") and not hugging_face and part != "attention.output":
        layer = f"transformer.layers.{block}.attention" if v1 else f"transformer.encoder.layers.{block}.self_attention"
        return f"{layer}.query_key_value.{kind}", _split(official, ["query", "key", "value"].index(part.split(".")[1]))
    width = official.get("ffn_hidden_size", official.get("intermediate_size", 0))
    fused = {"chatglm": "mlp.dense_h_to_4h", "glm": "mlp.gate_up_proj"}.get(official["model_type"])
    if part in ("feedforward.gate", "feedforward.up") and fused and not v1:
        layer = f"model.layers.{block}" if hugging_face else f"transformer.encoder.layers.{block}"
        return f"{layer}.{fused}.{kind}", lambda row: row + (width if part == "feedforward.up" else 0)
    return f"{_plain(part, hugging_face, v1).format(i=block)}.{kind}", _same


def _plain(part: str, hugging_face: bool, v1: bool) -> str:
    """The official name of a module that is stored as it is: for HuggingFace, ChatGLM-6B, or ChatGLM2-6B."""
    column = 0 if hugging_face else 1 if v1 else 2
    return {
        "embedding": ("model.embed_tokens", "transformer.word_embeddings", "transformer.embedding.word_embeddings"),
        "final_norm": ("model.norm", "transformer.final_layernorm", "transformer.encoder.final_layernorm"),
        "head": ("lm_head", "lm_head", "transformer.output_layer"),
        "input_norm": ("model.layers.{i}.input_layernorm", "transformer.layers.{i}.input_layernorm",
                       "transformer.encoder.layers.{i}.input_layernorm"),
        "post_attention_norm": ("model.layers.{i}.post_attention_layernorm",
                                "transformer.layers.{i}.post_attention_layernorm",
                                "transformer.encoder.layers.{i}.post_attention_layernorm"),
        "attention.query": ("model.layers.{i}.self_attn.q_proj",),
        "attention.key": ("model.layers.{i}.self_attn.k_proj",),
        "attention.value": ("model.layers.{i}.self_attn.v_proj",),
        "attention.output": ("model.layers.{i}.self_attn.o_proj", "transformer.layers.{i}.attention.dense",
                             "transformer.encoder.layers.{i}.self_attention.dense"),
        "feedforward.gate": ("model.layers.{i}.mlp.gate_proj",),
        "feedforward.up": ("model.layers.{i}.mlp.up_proj", "transformer.layers.{i}.mlp.dense_h_to_4h"),
        "feedforward.down": ("model.layers.{i}.mlp.down_proj", "transformer.layers.{i}.mlp.dense_4h_to_h",
                             "transformer.encoder.layers.{i}.mlp.dense_4h_to_h"),
        "prefix.embedding": ("", *["transformer.prefix_encoder.embedding"] * 2),
        "prefix.project_in": ("", *["transformer.prefix_encoder.trans.0"] * 2),
        "prefix.project_out": ("", *["transformer.prefix_encoder.trans.2"] * 2),
    }[part][column]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_row_comes_from_its_official_row(case: str) -> None:
    official = json.loads((GOLDEN / case / "config.json").read_text())
    file = load_file(GOLDEN / case / "model.safetensors")
    used = {name: np.zeros(tensor.shape[0], dtype=int) for name, tensor in file.items() if "inv_freq" not in name}
    for name, ours in Transformer.from_pretrained(GOLDEN / case).state_dict().items():
        there, row_of = _official_place(name, official)
        for row in range(len(ours)):
            used[there][row_of(row)] += 1
            assert np.array_equal(ours[row].numpy(), file[there][row_of(row)]), f"{name}[{row}]"
    assert all((times == 1).all() for times in used.values()), "every official row is used exactly once"


@pytest.mark.parametrize("layout", TABLES)
def test_a_table_names_each_module_once(layout: str) -> None:
    ours = [stem for stems in TABLES[layout].values() for stem in stems]
    assert len(ours) == len(set(ours))


def test_the_real_v1_index_has_368_names_and_v2_has_as_many_as_its_parts() -> None:
    from glm_edu import ModelConfig
    from glm_edu.checkpoints.layout import official_buffers

    counts = {}
    for name in ("chatglm-6b", "chatglm2-6b"):
        config = ModelConfig.preset(name)
        tensors = official_tensors(config, _shapes(config))
        counts[name] = len(tensors) + len(official_buffers(config))
        assert sum(int(np.prod(tensor.shape)) for tensor in tensors) == config.parameter_count
    assert counts == {"chatglm-6b": 28 * 13 + 4, "chatglm2-6b": 28 * 7 + 4}


def _shapes(config: Any) -> dict[str, Any]:
    import torch

    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in Transformer(config).state_dict().items()}


def test_a_tensor_without_a_place_in_the_layout_is_an_error() -> None:
    from glm_edu import ModelConfig

    with pytest.raises(CheckpointError, match=r"llama layout has no place for prefix\.embedding\.weight"):
        official_tensors(ModelConfig.preset("tiny-llama"), {"prefix.embedding.weight": (8, 64)})
