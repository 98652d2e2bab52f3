"""from_official and to_official: one table in both directions, and nothing guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import published
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glm_edu import ModelConfig
from glm_edu.errors import ConfigError
from glm_edu.official_config import IGNORED, REQUIRED, TABLE, Row

GOLDEN = Path(__file__).parents[1] / "golden"
ROWS = [pytest.param(layout, row, id=f"{layout}-{row.key}") for layout, rows in TABLE.items() for row in rows]
BAD = ["nonsense", 12345.5, -3, {"a": 1}, ["x"], float("nan")]


def _is_bad(row: Row, value: Any) -> bool:
    if row.key.endswith("token_id") and value == -3:
        return False  # some published files say pad_token_id -1
    any_positive = float in row.types and "dropout" not in row.key and row.key != "partial_rotary_factor"
    return not (any_positive and value == 12345.5)


def test_chatglm3_32k_has_fifty_times_the_base() -> None:
    config = ModelConfig.from_official(published.CHATGLM3_6B_32K)
    assert (config.rope_ratio, config.max_positions, config.rotary_angles) == (50, 32768, "float32")


def test_glm4_in_both_layouts_is_one_network() -> None:
    remote = ModelConfig.from_official(published.GLM4_REMOTE)
    hugging_face = ModelConfig.from_official(published.GLM4_HF)
    assert remote.parameter_count == hugging_face.parameter_count == 9_399_951_360
    assert remote.rotary_base * remote.rope_ratio == hugging_face.rotary_base == 5_000_000
    same = """num_layers head_dim num_kv_groups feedforward_size norm_eps rotary_fraction rotary_pairing mask
              query_key_value_bias feedforward_bias eos_ids pad_id dtype"""
    for field in same.split():
        assert getattr(remote, field) == getattr(hugging_face, field), field


def test_the_first_era_of_chatglm_6b_differs_by_its_vocabulary_only() -> None:
    """Files from before 6 April 2023: 20000 ids for images come first. Their index says how large they are."""
    ids = {"bos_token_id": 150004, "eos_token_id": 150005, "mask_token_id": 150000, "gmask_token_id": 150001}
    config = ModelConfig.from_official(published.CHATGLM_6B | ids | {"vocab_size": 150528, "pad_token_id": 20003})
    assert config.parameter_count == 6_871_769_088
    assert (config.bos_id, config.gmask_id, config.num_layers) == (150004, 150001, 28)


def test_only_the_dtype_of_the_rotary_table_tells_chatglm3_from_chatglm2() -> None:
    v2, v3 = (ModelConfig.from_official(file) for file in (published.CHATGLM2_6B, published.CHATGLM3_6B))
    assert replace(v2, max_positions=8192, rotary_frequencies="float32", rotary_angles="float32") == v3


def test_a_bias_on_every_linear_is_also_on_query_key_value() -> None:
    config = ModelConfig.from_official(published.CHATGLM2_6B | {"add_bias_linear": True, "add_qkv_bias": False})
    assert config.query_key_value_bias and config.attention_output_bias and config.feedforward_bias


def test_multi_query_attention_off_means_a_group_a_head_and_rows_head_by_head() -> None:
    config = ModelConfig.from_official(published.CHATGLM2_6B | {"multi_query_attention": False})
    assert (config.num_kv_groups, config.fused_rows) == (32, "per_head")


def test_keys_of_transformers_5_are_read() -> None:
    moved = ("torch_dtype", "rope_theta", "partial_rotary_factor")
    new = {key: value for key, value in published.GLM4_HF.items() if key not in moved}
    rope = {"rope_type": "default", "rope_theta": 5000000.0, "partial_rotary_factor": 0.5}
    new |= {"dtype": "bfloat16", "rope_parameters": rope}
    assert ModelConfig.from_official(new) == ModelConfig.from_official(published.GLM4_HF)


@pytest.mark.parametrize(("layout", "row"), ROWS)
def test_a_required_key_that_is_missing_is_named(layout: str, row: Row) -> None:
    without = {key: value for key, value in published.ONE_PER_LAYOUT[layout].items() if key != row.key}
    if row.key in ("inner_hidden_size", "padded_vocab_size"):  # these two tell the layouts apart
        with pytest.raises(ConfigError, match=f"needs inner_hidden_size .* or {'padded_vocab_size'}"):
            ModelConfig.from_official(without)
    elif row.default is REQUIRED:
        with pytest.raises(ConfigError, match=f"{row.key} is missing"):
            ModelConfig.from_official(without)
    else:
        ModelConfig.from_official(without)


@pytest.mark.parametrize(
    ("layout", "row", "value"),
    [pytest.param(layout, row, value, id=f"{layout}-{row.key}-{value}")
     for layout, rows in TABLE.items() for row in rows for value in BAD if _is_bad(row, value)],
)  # fmt: skip
def test_an_unknown_value_of_any_key_is_refused_by_name(layout: str, row: Row, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        ModelConfig.from_official(published.ONE_PER_LAYOUT[layout] | {row.key: value})
    assert row.key in str(caught.value) or f"{row.field}=" in str(caught.value)


@pytest.mark.parametrize(
    "layout, key, value",
    [("chatglm", "tie_word_embeddings", True), ("chatglm", "quantization_bit", 2), ("chatglm2", "quantization_bit", 3),
     ("chatglm", "quantization_embeddings", True), ("llama", "quantization_bit", True),
     ("chatglm2", "fp32_residual_connection", True), ("chatglm2", "original_rope", False),
     ("chatglm2", "attention_softmax_in_fp32", False), ("llama", "hidden_act", "gelu"), ("llama", "pretraining_tp", 2),
     ("llama", "rope_scaling", {"type": "linear", "factor": 2.0}), ("llama", "rope_interleaved", True),
     ("llama", "torch_dtype", "float64"), ("glm", "hidden_act", "gelu_new"), ("glm", "mlp_bias", True),
     ("llama", "rope_parameters", {"rope_type": "yarn", "factor": 4.0}), ("llama", "rope_parameters", 3),
     ("llama", "quantization_config", {"bits": 4}), ("chatglm", "num_hidden_layers", 24),
     ("chatglm2", "vocab_size", 64789), ("chatglm2", "multi_query_group_num", True),
     ("llama", "eos_token_id", [2, "x"])],
)  # fmt: skip
def test_what_the_network_does_not_have_is_refused_by_name(layout: str, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=key):
        ModelConfig.from_official(published.ONE_PER_LAYOUT[layout] | {key: value})


def test_unknown_keys_are_refused_together() -> None:
    with pytest.raises(ConfigError, match="unknown keys moe_layers, sliding_window for a llama model"):
        ModelConfig.from_official(published.LLAMA_7B | {"sliding_window": 4096, "moe_layers": 2})


def test_provenance_changes_nothing() -> None:
    assert ModelConfig.from_official(published.LLAMA_7B | dict.fromkeys(IGNORED - {"model_type"}, "anything")) == (
        ModelConfig.from_official(published.LLAMA_7B)
    )


@pytest.mark.parametrize("kind", [None, "bert", "chatglm2", "glm4", "", 3, ["llama"], {}])
def test_an_unknown_model_type_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match="model_type"):
        ModelConfig.from_official(published.LLAMA_7B | {"model_type": kind})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("content", [None, [], "llama", 3])
def test_a_config_that_is_no_object_is_refused(content: Any) -> None:
    with pytest.raises(ConfigError, match="should hold an object"):
        ModelConfig.from_official(content)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="hidden_size=4096 is not a multiple of 33 heads"):
        ModelConfig.from_official(published.CHATGLM_6B | {"num_attention_heads": 33})
    with pytest.raises(ConfigError, match="num_attention_heads=0"):
        ModelConfig.from_official(published.LLAMA_7B | {"num_attention_heads": 0})


def test_a_prefix_whose_width_the_official_code_gets_wrong_is_refused() -> None:
    wide = published.CHATGLM2_6B | {"multi_query_attention": False, "pre_seq_len": 8}
    with pytest.raises(ConfigError, match="multi_query_group_num == num_attention_heads"):
        ModelConfig.from_official(wide)
    assert ModelConfig.from_official(wide | {"multi_query_group_num": 32}).prefix_length == 8


@pytest.mark.parametrize("case", sorted(path.parent.name for path in GOLDEN.glob("*/config.json")))
def test_golden_configs_survive_the_round_trip(case: str) -> None:
    config = ModelConfig.from_official(json.loads((GOLDEN / case / "config.json").read_text()))
    assert ModelConfig.from_official(json.loads(json.dumps(config.to_official()))) == config


def test_ids_are_written_even_where_there_are_none() -> None:
    """An official class has ids of its own for absent keys: GLM-4's pad id lies outside a small vocabulary."""
    written = replace(ModelConfig.from_official(published.GLM4_HF), pad_id=None, eos_ids=()).to_official()
    assert written["pad_token_id"] is None and written["eos_token_id"] is None


@pytest.mark.parametrize(
    "changes",
    [{"position_revision": "2023-03"}, {"rotary_frequencies": "float32"}, {"mask": "causal"}, {"activation": "gelu"},
     {"residual": "pre_norm"}, {"tied_head": True}, {"prefix_dropout": 0.0}],
)  # fmt: skip
def test_what_config_json_cannot_say_is_refused_by_name(changes: dict[str, Any]) -> None:
    config = replace(ModelConfig.preset("tiny-chatglm"), **changes)
    with pytest.raises(ConfigError, match=f"cannot say: {next(iter(changes))}"):
        config.to_official()


def _sizes(draw: st.DrawFn) -> dict[str, Any]:
    groups, per_group, head_dim = draw(st.integers(1, 4)), draw(st.integers(1, 4)), 4 * draw(st.integers(1, 8))
    names = ("vocab_size", "num_layers", "feedforward_size", "max_positions")
    return {name: draw(st.integers(1, 2000)) for name in names} | {
        "num_heads": groups * per_group, "num_kv_groups": groups, "head_dim": head_dim,
        "hidden_size": groups * per_group * head_dim,
        "eos_ids": tuple(draw(st.lists(st.integers(0, 2000), max_size=3))),
        "pad_id": draw(st.none() | st.integers(0, 2000)),
        "dtype": draw(st.sampled_from(["float32", "float16", "bfloat16"])),
        "norm_eps": draw(st.floats(1e-12, 1e-2)),
    }  # fmt: skip


def _chatglm(draw: st.DrawFn, heads: int) -> dict[str, Any]:
    return {name: draw(st.integers(0, 2000)) for name in ("bos_id", "mask_id", "gmask_id")} | {
        "num_kv_groups": heads, "rotary_channels": draw(st.sampled_from([1, 2])),
        "alpha_layers": draw(st.integers(1, 99)),
    }  # fmt: skip


def _chatglm2(draw: st.DrawFn, heads: int) -> dict[str, Any]:
    flag, dropout = st.booleans(), st.floats(0, 0.5)
    bias, third = draw(flag), draw(flag)
    table = "float32" if third else "model"
    return {
        "norm": draw(st.sampled_from(["rmsnorm", "layernorm"])), "final_norm": draw(flag), "layer_scaling": draw(flag),
        "residual": draw(st.sampled_from(["pre_norm", "post_norm"])),
        "attention_output_bias": bias, "feedforward_bias": bias, "query_key_value_bias": bias or draw(flag),
        "rotary_frequencies": table, "rotary_angles": table, "rope_ratio": draw(st.floats(0.5, 1e4)) if third else 1.0,
        "hidden_dropout": draw(dropout), "attention_dropout": draw(dropout),
    } | ({"fused_rows": "per_head", "num_kv_groups": heads} if draw(flag) else {})  # fmt: skip


def _hugging_face(draw: st.DrawFn, layout: str) -> dict[str, Any]:
    bias = draw(st.booleans())
    own = {"llama": {"attention_output_bias": bias, "feedforward_bias": draw(st.booleans())},
           "glm": {"rotary_fraction": draw(st.sampled_from([0.5, 1.0]))}}[layout]  # fmt: skip
    return own | {
        "tied_head": draw(st.booleans()), "rotary_base": draw(st.floats(1e3, 1e7)), "query_key_value_bias": bias,
        "attention_dropout": draw(st.floats(0, 0.5)), "bos_id": draw(st.none() | st.integers(0, 2000)),
    }  # fmt: skip


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A layout and values of its fields: any network that an official file can describe."""
    layout, values = draw(st.sampled_from(sorted(TABLE))), _sizes(draw)
    if layout in ("llama", "glm"):
        return layout, values | _hugging_face(draw, layout)
    values |= {"prefix_length": draw(st.integers(0, 9)), "prefix_projection": draw(st.booleans())}
    return layout, values | (_chatglm if layout == "chatglm" else _chatglm2)(draw, values["num_heads"])


@settings(max_examples=200)
@given(columns())
def test_round_trip_through_json(column: tuple[str, dict[str, Any]]) -> None:
    layout, values = column
    config = replace(ModelConfig.from_official(published.ONE_PER_LAYOUT[layout]), **values)
    assert ModelConfig.from_official(json.loads(json.dumps(config.to_official()))) == config
