"""ModelConfig: the GLM family as one table. A preset is a column of it; the network reads it and knows no model's name.

Each quirk of the official code is a field with the official value as the preset's default, so that a chapter can switch
one off with ``dataclasses.replace`` and show what changes.

Official: config.json and configuration_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev
456aa87).
Differs: one set of field names for all models; ``official_config.py`` holds the table to the official names.
"""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from glm_edu.errors import ConfigError

LARGEST = 2**48  # of a size, and of all parameters: a bound for damaged files


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One column of the family table.

    Sizes are counts of elements; ``*_id`` are token ids. See ``describe()`` for the same in words.

    Raises:
        ConfigError: a value outside its choices, or sizes that do not fit together.
    """

    # sizes
    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_groups: int
    head_dim: int
    feedforward_size: int
    max_positions: int
    # the block
    norm: Literal["layernorm", "rmsnorm", "rmsnorm_cast_first"]
    norm_eps: float
    residual: Literal["pre_norm", "post_norm", "scaled_post_norm"]
    alpha_layers: int = 28  # alpha = sqrt(2 * 28) whatever num_layers is: the official GLMBlock is never given it
    final_norm: bool = True
    feedforward: Literal["plain", "gated"]
    activation: Literal["gelu_tanh", "gelu", "silu"]
    # attention
    mask: Literal["prefix", "causal"]
    mask_value: float = -math.inf  # what a hidden score becomes; ChatGLM-6B: -10000, before the layer factor is undone
    layer_scaling: bool = False  # divide the query by the layer number, multiply the fp32 scores by it again
    query_key_value_bias: bool
    attention_output_bias: bool
    feedforward_bias: bool
    # positions
    positions: Literal["glm", "sequential"]  # glm: frozen at the mask token, with a second clock for the answer
    position_revision: Literal["2023-09", "2023-03"] = "2023-09"  # 2023-03: [gMASK] prompts keep counting
    rotary_channels: Literal[1, 2] = 1  # 2: one half of each head per position channel
    rotary_pairing: Literal["half", "pairs"]
    rotary_fraction: float = 1.0  # the part of each head that is rotated
    rotary_base: float = 10000.0
    rope_ratio: float = 1.0  # multiplies the base
    rotary_frequencies: Literal["float16", "model", "float32"] = "float32"  # the dtype they are rounded to
    rotary_angles: Literal["model", "float32"] = "float32"  # the dtype that position * frequency is computed in
    # the head, the P-tuning v2 prefix, training
    tied_head: bool = False
    prefix_length: int = 0
    prefix_projection: bool = False
    prefix_embedding: Literal["hidden", "key_value"] = "hidden"  # width of the projected prefix's table
    prefix_dropout: float = 0.1
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    # token ids
    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    pad_id: int | None = None
    mask_id: int | None = None
    gmask_id: int | None = None
    # the official checkpoint
    layout: Literal["chatglm", "chatglm2", "llama", "glm"]
    fused_rows: Literal["per_head", "blocks", "separate"]  # how the official file lays out query, key and value
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    quantization_bits: Literal[0, 4, 8] = 0  # of the weights in the blocks' linears; 0: they are floats

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            value, choices = getattr(self, name), [c for c in get_args(hint) if isinstance(c, str | int)]
            if choices and not any(type(value) is type(c) and value == c for c in choices):
                raise ConfigError(f"{name}={value!r} is unknown; it may be one of {choices}.")
        for name in ("vocab_size", "hidden_size", "num_layers", "num_heads", "num_kv_groups", "head_dim",
                     "feedforward_size", "max_positions", "alpha_layers"):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name}={value!r} must be a whole number of at least 1.")
            if value > LARGEST:
                raise ConfigError(f"{name}={value} is larger than anything that a computer holds.")
        self._check_numbers()
        self._check_shapes()

    def _check_numbers(self) -> None:
        for name in ("prefix_dropout", "hidden_dropout", "attention_dropout"):
            value = getattr(self, name)
            if not isinstance(value, float | int) or not 0.0 <= value < 1.0:
                raise ConfigError(f"{name}={value!r} must lie in [0, 1).")
        for name in ("norm_eps", "rotary_base", "rope_ratio", "rotary_fraction"):
            value, most = getattr(self, name), 1.0 if name == "rotary_fraction" else sys.float_info.max
            if not isinstance(value, float | int) or not 0.0 < value <= most:  # NaN is not either
                raise ConfigError(f"{name}={value!r} must be greater than 0 and at most {most:g}.")
        if not isinstance(self.prefix_length, int) or self.prefix_length < 0:
            raise ConfigError(f"prefix_length={self.prefix_length!r} must be 0 (no prefix) or more.")

    def _check_shapes(self) -> None:
        if self.num_heads % self.num_kv_groups:
            raise ConfigError(f"num_heads={self.num_heads} is not a multiple of num_kv_groups={self.num_kv_groups}.")
        if self.rotary_dim % 2 or self.rotary_dim == 0:
            raise ConfigError(
                f"rotary_dim={self.rotary_dim} (head_dim={self.head_dim}, rotary_fraction={self.rotary_fraction}, "
                f"rotary_channels={self.rotary_channels}) must be even and at least 2: rotary turns pairs."
            )
        if self.rotary_channels == 2 and self.positions != "glm":
            raise ConfigError("rotary_channels=2 needs positions='glm': only GLM has a second clock.")
        if (count := self.parameter_count + self.prefix_parameter_count) > LARGEST:
            raise ConfigError(f"hidden_size={self.hidden_size}, num_layers={self.num_layers}, vocab_size="
                              f"{self.vocab_size} and the others make {count:.0e} parameters; no computer holds "
                              "them.")  # fmt: skip

    @property
    def alpha(self) -> float:
        """The residual factor sqrt(2 * alpha_layers); only ``scaled_post_norm`` uses it."""
        return math.sqrt(2 * self.alpha_layers)

    @property
    def rotary_dim(self) -> int:
        """Rotated elements of a head, per position channel."""
        return int(self.head_dim * self.rotary_fraction) // self.rotary_channels

    @property
    def parameter_count(self) -> int:
        """Parameters of the network without the P-tuning prefix."""
        h, f, d = self.hidden_size, self.feedforward_size, self.head_dim
        q, kv = self.num_heads * d, self.num_kv_groups * d
        norm = h * (2 if self.norm == "layernorm" else 1)
        attention = h * (q + 2 * kv) + (q + 2 * kv) * self.query_key_value_bias + q * h + h * self.attention_output_bias
        linears_in = 2 if self.feedforward == "gated" else 1
        feedforward = (linears_in + 1) * h * f + (linears_in * f + h) * self.feedforward_bias
        tables = self.vocab_size * h * (1 if self.tied_head else 2)
        return self.num_layers * (2 * norm + attention + feedforward) + tables + norm * self.final_norm

    @property
    def prefix_parameter_count(self) -> int:
        """Parameters of the P-tuning prefix."""
        h, width = self.hidden_size, 2 * self.num_layers * self.num_kv_groups * self.head_dim
        if not self.prefix_projection:
            return self.prefix_length * width
        table = h if self.prefix_embedding == "hidden" else width
        return bool(self.prefix_length) * (self.prefix_length * table + (table + 1) * h + (h + 1) * width)

    @classmethod
    def preset(cls, name: str) -> ModelConfig:
        """A published model, or a tiny one of the same kind, by name.

        Raises:
            ConfigError: an unknown name; the message lists the known ones.
        """
        if name not in PRESETS:
            raise ConfigError(f"There is no preset {name!r}. There are: {', '.join(PRESETS)}.")
        return cls(**PRESETS[name])

    @classmethod
    def from_official(cls, official: Mapping[str, Any]) -> ModelConfig:
        """The config that an official ``config.json`` describes; see ``official_config.py`` for the table.

        Raises:
            ConfigError: an unknown ``model_type``, key or value, or a combination that the network does not have.
        """
        from glm_edu.official_config import official_names, read_official

        ours = read_official(official)
        try:
            return cls(**ours)
        except ConfigError as error:
            raise ConfigError(f"config.json: {error}{official_names(str(error), ours['layout'])}") from error

    def to_official(self) -> dict[str, Any]:
        """The official ``config.json`` of this config: the same table, read backwards."""
        from glm_edu.official_config import write_official

        return write_official(self)

    def describe(self) -> dict[str, str]:
        """This column of the family table in words, one row an idea."""
        gated = "gated " if self.feedforward == "gated" else ""
        return {
            "size": f"{self.num_layers} layers, hidden {self.hidden_size}, vocabulary {self.vocab_size}",
            "parameters": f"{self.parameter_count:,}",
            "norm": f"{NORM_WORDS[self.norm]}, eps {self.norm_eps:g}",
            "residual": RESIDUAL_WORDS[self.residual].format(alpha=self.alpha, layers=self.alpha_layers),
            "rotary": self._rotary_words(),
            "heads / kv groups": f"{self.num_heads} / {self.num_kv_groups}, head dim {self.head_dim}",
            "mask": "bidirectional context, then causal" if self.mask == "prefix" else "causal",
            "feed-forward": f"{gated}{self.activation}, {self.feedforward_size} wide",
            "bias": self._bias_words(),
            "final norm": ("LayerNorm" if self.norm == "layernorm" else "RMSNorm") if self.final_norm else "none",
            "head": "shared with the embedding" if self.tied_head else "its own",
            "longest sequence": str(self.max_positions),
        }

    def _rotary_words(self) -> str:
        part = {(2, 1.0): "2D, half of each head per clock", (1, 1.0): "whole head"}.get(
            (self.rotary_channels, self.rotary_fraction), f"first {self.rotary_fraction:.0%} of each head"
        )
        pairing = "rotate_half" if self.rotary_pairing == "half" else "rotate_pairs"
        base = self.rotary_base * self.rope_ratio
        return f"{part}, {pairing}, base {base:g}, frequencies in {self.rotary_frequencies}"

    def _bias_words(self) -> str:
        parts = {"query, key, value": self.query_key_value_bias, "attention output": self.attention_output_bias,
                 "feed-forward": self.feedforward_bias}  # fmt: skip
        return "none" if not any(parts.values()) else "; ".join(k for k, v in parts.items() if v)

    def __str__(self) -> str:
        return "\n".join(f"{row:>18}  {text}" for row, text in self.describe().items())

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th scope='row'>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>"
                       for k, v in self.describe().items())  # fmt: skip
        return f"<table class='family'>{rows}</table>"


NORM_WORDS = {
    "layernorm": "LayerNorm",
    "rmsnorm": "RMSNorm, weight multiplied in fp32",
    "rmsnorm_cast_first": "RMSNorm, cast before the weight",
}
RESIDUAL_WORDS = {
    "pre_norm": "x + f(norm(x))",
    "post_norm": "norm(x) + f(norm(x))",
    "scaled_post_norm": "{alpha:.2f} * norm(x) + f(norm(x)), alpha = sqrt(2 * {layers})",
}

_CHATGLM: dict[str, Any] = dict(
    layout="chatglm", fused_rows="per_head", norm="layernorm", norm_eps=1e-5, residual="scaled_post_norm",
    feedforward="plain", activation="gelu_tanh", mask="prefix", mask_value=-10000.0, layer_scaling=True,
    query_key_value_bias=True, attention_output_bias=True, feedforward_bias=True,
    positions="glm", rotary_channels=2, rotary_pairing="half", rotary_frequencies="float16", rotary_angles="model",
)  # fmt: skip
_CHATGLM2: dict[str, Any] = dict(
    layout="chatglm2", fused_rows="blocks", norm="rmsnorm", norm_eps=1e-5, residual="pre_norm",
    feedforward="gated", activation="silu", mask="causal", layer_scaling=True,
    query_key_value_bias=True, attention_output_bias=False, feedforward_bias=False,
    positions="sequential", rotary_pairing="pairs", rotary_fraction=0.5,
    rotary_frequencies="model", rotary_angles="model", prefix_embedding="key_value",
)  # fmt: skip
_LLAMA: dict[str, Any] = dict(
    layout="llama", fused_rows="separate", norm="rmsnorm_cast_first", norm_eps=1e-6, residual="pre_norm",
    feedforward="gated", activation="silu", mask="causal",
    query_key_value_bias=False, attention_output_bias=False, feedforward_bias=False,
    positions="sequential", rotary_pairing="half",
)  # fmt: skip
_GLM: dict[str, Any] = _LLAMA | dict(
    layout="glm", query_key_value_bias=True, rotary_pairing="pairs", rotary_fraction=0.5
)  # fmt: skip
_TABLE_IN_FLOAT32: dict[str, Any] = dict(rotary_frequencies="float32", rotary_angles="float32")
_TINY: dict[str, Any] = dict(vocab_size=512, hidden_size=64, num_layers=3, num_heads=4, head_dim=16, max_positions=256)
_TEXT_V2: dict[str, Any] = dict(eos_ids=(2,), pad_id=0)

FAMILIES: dict[str, dict[str, Any]] = {"chatglm": _CHATGLM, "chatglm2": _CHATGLM2, "llama": _LLAMA, "glm": _GLM}
PRESETS: dict[str, dict[str, Any]] = {
    "chatglm-6b": _CHATGLM | dict(
        vocab_size=130528, hidden_size=4096, num_layers=28, num_heads=32, num_kv_groups=32, head_dim=128,
        feedforward_size=16384, max_positions=2048, dtype="float16",
        bos_id=130004, eos_ids=(130005,), pad_id=3, mask_id=130000, gmask_id=130001),
    "chatglm2-6b": _CHATGLM2 | _TEXT_V2 | dict(
        vocab_size=65024, hidden_size=4096, num_layers=28, num_heads=32, num_kv_groups=2, head_dim=128,
        feedforward_size=13696, max_positions=32768, dtype="float16"),
    "chatglm3-6b": _CHATGLM2 | _TEXT_V2 | _TABLE_IN_FLOAT32 | dict(
        vocab_size=65024, hidden_size=4096, num_layers=28, num_heads=32, num_kv_groups=2, head_dim=128,
        feedforward_size=13696, max_positions=8192, dtype="float16"),
    "llama-7b": _LLAMA | dict(
        vocab_size=32000, hidden_size=4096, num_layers=32, num_heads=32, num_kv_groups=32, head_dim=128,
        feedforward_size=11008, max_positions=2048, dtype="float16", bos_id=1, eos_ids=(2,)),
    "tiny-chatglm": _CHATGLM | _TINY | dict(
        num_kv_groups=4, feedforward_size=256, bos_id=504, eos_ids=(505,), pad_id=3, mask_id=500, gmask_id=501),
    "tiny-chatglm2": _CHATGLM2 | _TINY | _TEXT_V2 | dict(num_kv_groups=2, feedforward_size=112),
    "tiny-llama": _LLAMA | _TINY | dict(num_kv_groups=4, feedforward_size=112, bos_id=1, eos_ids=(2,), pad_id=0),
}  # fmt: skip
