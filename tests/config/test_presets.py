"""Presets: the published sizes, the published files, and values that cannot be."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import published
import pytest
import torch

from glm_edu import GLMError, ModelConfig, Transformer
from glm_edu.config import PRESETS
from glm_edu.errors import ConfigError


@pytest.mark.parametrize(
    "name, count",
    [("chatglm-6b", 6_707_929_088), ("chatglm2-6b", 6_243_584_000), ("chatglm3-6b", 6_243_584_000),
     ("llama-7b", 6_738_415_616)],
)  # fmt: skip
def test_parameter_counts_are_the_official_ones(name: str, count: int) -> None:
    config = ModelConfig.preset(name)
    assert config.parameter_count == count
    with torch.device("meta"):
        model = Transformer(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize(
    "changes",
    [{}, {"norm": "layernorm"}, {"final_norm": False}, {"tied_head": True}, {"feedforward": "plain"},
     {"query_key_value_bias": True, "attention_output_bias": True, "feedforward_bias": True}, {"num_kv_groups": 1},
     {"head_dim": 24}],
)  # fmt: skip
@pytest.mark.parametrize("name", ["tiny-chatglm", "tiny-chatglm2", "tiny-llama"])
def test_parameter_count_is_that_of_the_network(name: str, changes: dict[str, Any]) -> None:
    config = dataclasses.replace(ModelConfig.preset(name), **changes)
    with torch.device("meta"):
        model = Transformer(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == config.parameter_count


@pytest.mark.parametrize(
    "name, file",
    [("chatglm-6b", published.CHATGLM_6B), ("chatglm2-6b", published.CHATGLM2_6B),
     ("chatglm3-6b", published.CHATGLM3_6B), ("llama-7b", published.LLAMA_7B)],
)  # fmt: skip
def test_a_preset_is_what_its_published_file_says(name: str, file: dict[str, Any]) -> None:
    assert ModelConfig.from_official(file) == ModelConfig.preset(name)


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'chatglm-7b'.*chatglm-6b.*tiny-llama"):
        ModelConfig.preset("chatglm-7b")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ModelConfig) if "Literal" in str(f.type)])
def test_a_choice_that_does_not_exist_is_refused_by_name(field: str) -> None:
    for value in ("sandwich", 7, None, True):
        with pytest.raises(ConfigError, match=f"{field}={value!r} is unknown"):
            dataclasses.replace(ModelConfig.preset("tiny-chatglm"), **{field: value})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "field, value",
    [("hidden_size", 0), ("num_layers", 2.0), ("vocab_size", True), ("alpha_layers", -28), ("max_positions", "many"),
     ("norm_eps", 0), ("norm_eps", math.nan), ("norm_eps", "small"), ("norm_eps", math.inf), ("rotary_base", -1.0),
     ("rope_ratio", 0), ("rotary_fraction", 1.5), ("hidden_dropout", 1.0), ("attention_dropout", -0.1),
     ("prefix_dropout", None), ("prefix_length", -1), ("prefix_length", 1.5)],
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field}="):
        dataclasses.replace(ModelConfig.preset("tiny-llama"), **{field: value})


@pytest.mark.parametrize(
    "changes, says",
    [({"num_kv_groups": 3}, "num_heads=4 is not a multiple of num_kv_groups=3"), ({"head_dim": 15}, "must be even"),
     ({"rotary_channels": 2}, "needs positions='glm'"), ({"rotary_fraction": 0.01}, "at least 2")],
)  # fmt: skip
def test_sizes_that_do_not_fit_together_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        dataclasses.replace(ModelConfig.preset("tiny-llama"), **changes)


def test_config_errors_are_value_errors_too() -> None:
    assert issubclass(ConfigError, ValueError) and issubclass(ConfigError, GLMError)


def test_a_config_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig.preset("tiny-llama").num_layers = 4  # type: ignore[misc]


def test_alpha_is_that_of_28_layers_whatever_the_number_of_layers() -> None:
    assert ModelConfig.preset("tiny-chatglm").num_layers == 3
    assert ModelConfig.preset("tiny-chatglm").alpha == ModelConfig.preset("chatglm-6b").alpha == math.sqrt(56)
    assert dataclasses.replace(ModelConfig.preset("tiny-chatglm"), alpha_layers=3).alpha == math.sqrt(6)


@pytest.mark.parametrize("name", PRESETS)
def test_the_family_table_says_what_differs(name: str) -> None:
    rows = ModelConfig.preset(name).describe()
    v1, v2 = name in ("chatglm-6b", "tiny-chatglm"), "chatglm2" in name or "chatglm3" in name
    assert ("alpha = sqrt(2 * 28)" in rows["residual"]) == v1
    assert rows["mask"] == ("bidirectional context, then causal" if v1 else "causal")
    everywhere = "query, key, value; attention output; feed-forward"
    assert rows["bias"] == (everywhere if v1 else "query, key, value" if v2 else "none")
    assert ("2D" in rows["rotary"], "rotate_half" in rows["rotary"]) == (v1, not v2)
    assert ("frequencies in float16" in rows["rotary"]) == v1
    assert rows["norm"].startswith("LayerNorm" if v1 else "RMSNorm")
    assert rows["parameters"] == f"{ModelConfig.preset(name).parameter_count:,}"


def test_the_text_and_the_html_hold_every_row() -> None:
    config = ModelConfig.preset("chatglm2-6b")
    assert len(str(config).splitlines()) == len(config.describe())
    for row, text in config.describe().items():
        assert row in str(config) and text in str(config)
        assert f"<th scope='row'>{row}</th><td>{text}</td>" in config._repr_html_()


def test_html_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelConfig, "describe", lambda self: {"<b>row</b>": "<script>alert('x & y')</script>"})
    page = ModelConfig.preset("tiny-llama")._repr_html_()
    assert "<script" not in page and "<b>" not in page
    assert "&lt;script&gt;alert(&#x27;x &amp; y&#x27;)&lt;/script&gt;" in page
