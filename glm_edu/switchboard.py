"""The switchboard: a network put together from three models, one decision at a time.

Each switch is a handful of fields of ModelConfig that belong together; where it stands says whose values they take.
All switches on one model give that model's config, to the last field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glm_edu.config import ModelConfig
from glm_edu.errors import ConfigError

SWITCHES: dict[str, tuple[str, ...]] = {
    "norm": ("norm", "norm_eps"),
    "residual": ("residual", "alpha_layers"),
    "position": ("positions", "position_revision", "rotary_channels", "rotary_pairing", "rotary_fraction",
                 "rotary_base", "rope_ratio", "rotary_frequencies", "rotary_angles"),
    "mask": ("mask", "mask_value", "layer_scaling"),
    "feed-forward": ("feedforward", "activation", "feedforward_size", "feedforward_bias"),
    "groups": ("num_kv_groups", "query_key_value_bias", "attention_output_bias"),
}  # fmt: skip
SIZE = "size"  # the seventh: vocabulary, depth, token ids, file layout, all that no other switch sets


def assemble(models: Mapping[str, ModelConfig], choices: Mapping[str, str]) -> ModelConfig:
    """The config whose switches stand where ``choices`` says: a name of ``models`` for each switch and for "size".

    Raises:
        ConfigError: a switch is missing, unknown, or stands on a model that is not there; or the parts do not fit
            together.
    """
    if set(choices) != {SIZE, *SWITCHES}:
        raise ConfigError(f"choices are {', '.join(choices)}; each of {', '.join([SIZE, *SWITCHES])} needs one.")
    if unknown := [f"{switch}={name!r}" for switch, name in choices.items() if name not in models]:
        raise ConfigError(f"{', '.join(unknown)}: the models are {', '.join(models)}.")
    return replace(models[choices[SIZE]], **{
        field: getattr(models[choices[switch]], field) for switch, fields in SWITCHES.items() for field in fields
    })  # fmt: skip


def fields_of(config: ModelConfig, switch: str) -> dict[str, Any]:
    """What a switch sets when it stands on ``config``. Raises ConfigError for a switch that there is not."""
    if switch not in (SIZE, *SWITCHES):
        raise ConfigError(f"There is no switch {switch!r}. There are: {', '.join([SIZE, *SWITCHES])}.")
    named = {field for fields in SWITCHES.values() for field in fields}
    names = SWITCHES.get(switch) or [field for field in config.__dataclass_fields__ if field not in named]
    return {name: getattr(config, name) for name in names}


def shapes(config: ModelConfig) -> dict[str, str]:
    """The tensors of a pass whose shapes the switches decide, by name: letters of the notation and sizes."""
    n, g, d, f = config.num_heads, config.num_kv_groups, config.head_dim, config.feedforward_size
    return {
        "position_ids": "b 2 s" if config.rotary_channels == 2 else "b s",
        "query": f"b {n} s {d}",
        "key, value": f"b {g} s {d}",
        "feedforward.hidden": f"b s {f}",
        "logits": f"b s {config.vocab_size}",
    }
