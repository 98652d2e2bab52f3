"""An absent key means what the official class makes of it; a key said twice must agree with itself."""

from typing import Any

import pytest
from transformers import GlmConfig, LlamaConfig

from glm_edu import ModelConfig
from glm_edu.errors import ConfigError

SIZES: dict[str, Any] = {"vocab_size": 512, "hidden_size": 512, "intermediate_size": 112, "num_hidden_layers": 2,
                         "num_attention_heads": 4, "rms_norm_eps": 1e-6}  # fmt: skip


@pytest.mark.parametrize(("kind", "official"), [("glm", GlmConfig), ("llama", LlamaConfig)])
def test_absent_keys_are_the_defaults_of_transformers(kind: str, official: type) -> None:
    ours, theirs = ModelConfig.from_official({"model_type": kind} | SIZES), official(**SIZES)
    eos = theirs.eos_token_id
    assert ours.num_kv_groups == theirs.num_key_value_heads
    assert ours.head_dim == theirs.head_dim
    assert ours.max_positions == theirs.max_position_embeddings
    assert ours.query_key_value_bias == theirs.attention_bias
    assert (ours.bos_id, ours.pad_id) == (theirs.bos_token_id, theirs.pad_token_id)
    assert ours.eos_ids == (tuple(eos) if isinstance(eos, list) else (eos,))


def test_the_first_published_llama_configs_are_read() -> None:
    """They give the length another name, and -1 for a padding token that they do not have."""
    config = ModelConfig.from_official({"model_type": "llama", "max_sequence_length": 2048, "pad_token_id": -1} | SIZES)
    assert (config.max_positions, config.pad_id) == (2048, None)


@pytest.mark.parametrize("twice", [
    {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 777.0}},
    {"torch_dtype": "float16", "dtype": "float32"},
    {"max_sequence_length": 4096},
    {"rope_parameters": {"hidden_act": "silu"}},
    {"rope_theta": 10**400},
])  # fmt: skip
def test_what_is_said_twice_or_in_the_wrong_place_is_refused(twice: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"config\.json: .*(disagrees with|unknown key|too large)"):
        ModelConfig.from_official({"model_type": "llama"} | SIZES | twice)
