"""The table between official ``config.json`` keys and the fields of ModelConfig: one row a key, read both ways.

A key sets a field, or must hold a value that the network implements, or is known to change nothing. Everything else is
refused by name: a config key that nobody looked at is an architecture that nobody built.

Official: configuration_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d), configuration_llama.py and
configuration_glm.py (transformers 5.23.0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glm_edu.errors import ConfigError

if TYPE_CHECKING:
    from glm_edu.config import ModelConfig

REQUIRED = object()
_INT_OR_NONE = (int, type(None))


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Row:
    """One official key.

    ``field``: the field of ModelConfig that it sets (None: it only has to hold one of ``only``).
    ``default``: the official value of an absent key. ``values``: official value -> ours, where they differ.
    """

    key: str
    field: str | None = None
    default: Any = REQUIRED
    values: Mapping[Any, Any] | None = None
    only: tuple[Any, ...] | None = None
    types: tuple[type, ...] = ()
    read: Callable[[Any], Any] = _same
    write: Callable[[Any], Any] = _same

    def to_ours(self, value: Any) -> Any:
        """The value of our field, or a ConfigError that names the key."""
        known = self.only if self.only is not None else tuple(self.values) if self.values else None
        if known is not None and not any(value is k or (value == k and type(value) is type(k)) for k in known):
            raise ConfigError(f"config.json: {self.key}={value!r} is not supported; it may be {_either(known)}.")
        if self.types and not (isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool))):
            raise ConfigError(f"config.json: {self.key}={value!r} should be {_either(t.__name__ for t in self.types)}.")
        try:
            return self.values[value] if self.values else self.read(value)
        except OverflowError:
            raise ConfigError(f"config.json: {self.key} is too large a number.") from None

    def to_official(self, config: ModelConfig) -> Any:
        """The official value of this key for ``config``."""
        if self.field is None:
            return self.default if self.only is None or self.default is not REQUIRED else self.only[0]
        ours = getattr(config, self.field)
        return next(k for k, v in self.values.items() if v == ours) if self.values else self.write(ours)


def _either(values: Any) -> str:
    return " or ".join(str(v) for v in values)


def _ids(value: Any) -> tuple[int, ...]:
    ids = () if value is None else tuple(value) if isinstance(value, list) else (value,)
    if any(type(i) is not int for i in ids):
        raise ConfigError(f"config.json: eos_token_id={value!r} should hold whole numbers.")
    return ids


def _one_or_list(ids: tuple[int, ...]) -> Any:
    return None if not ids else ids[0] if len(ids) == 1 else list(ids)


def _size(key: str, field: str) -> Row:
    return Row(key, field, types=(int,))


def _flag(key: str, field: str, default: Any = REQUIRED) -> Row:
    return Row(key, field, default, types=(bool,))


def _id(key: str, field: str, default: int | None = None) -> Row:
    return Row(key, field, default, types=_INT_OR_NONE, read=lambda i: i if i is not None and i >= 0 else None)


_RESIDUALS = {False: "pre_norm", True: "post_norm"}
_BITS = {0: 0, None: 0, 4: 4, 8: 8}
_DTYPE = {d: d for d in ("float32", "float16", "bfloat16")} | {None: "float32"}


def _common(eos: Any = None, pad: int | None = None) -> tuple[Row, ...]:
    """The rows that every layout has; the ids are the official defaults."""
    return (
        Row("torch_dtype", "dtype", None, values=_DTYPE),
        Row("eos_token_id", "eos_ids", eos, types=(int, list, type(None)), read=_ids, write=_one_or_list),
        _id("pad_token_id", "pad_id", pad),
    )


_PREFIX = (
    Row("pre_seq_len", "prefix_length", None, types=_INT_OR_NONE, read=lambda n: n or 0, write=lambda n: n or None),
    _flag("prefix_projection", "prefix_projection", False),
    Row("quantization_bit", "quantization_bits", 0, values=_BITS),
    Row("quantization_embeddings", default=False, only=(False,)),
)


def _hugging_face(positions: int, groups: int | None, head_dim: int | None, bos: int | None) -> tuple[Row, ...]:
    """The rows that transformers' own classes share; the arguments are their defaults."""
    return (
        _size("vocab_size", "vocab_size"),
        _size("hidden_size", "hidden_size"),
        _size("intermediate_size", "feedforward_size"),
        _size("num_hidden_layers", "num_layers"),
        _size("num_attention_heads", "num_heads"),
        Row("num_key_value_heads", "num_kv_groups", groups, types=_INT_OR_NONE),
        Row("head_dim", "head_dim", head_dim, types=_INT_OR_NONE),
        Row("max_position_embeddings", "max_positions", positions, types=(int,)),
        Row("rms_norm_eps", "norm_eps", types=(float, int)),
        Row("rope_theta", "rotary_base", 10000.0, types=(float, int), read=float),
        Row("rope_scaling", default=None, only=(None,)),
        Row("hidden_act", default="silu", only=("silu",)),
        _flag("tie_word_embeddings", "tied_head", False),
        Row("attention_dropout", "attention_dropout", 0.0, types=(float, int), read=float),
        _id("bos_token_id", "bos_id", bos),
    )


TABLE: dict[str, tuple[Row, ...]] = {
    "chatglm": (
        _size("vocab_size", "vocab_size"),
        _size("hidden_size", "hidden_size"),
        _size("num_layers", "num_layers"),
        _size("num_attention_heads", "num_heads"),
        _size("inner_hidden_size", "feedforward_size"),
        _size("max_sequence_length", "max_positions"),
        Row("layernorm_epsilon", "norm_eps", types=(float, int)),
        Row("position_encoding_2d", "rotary_channels", True, values={True: 2, False: 1}),
        Row("tie_word_embeddings", default=False, only=(False,)),
        Row("alpha_layers", "alpha_layers", 28, types=(int,)),  # ours: the official code has no such key, only its 28
        Row("bos_token_id", "bos_id", types=(int,)),
        Row("mask_token_id", "mask_id", types=(int,)),
        Row("gmask_token_id", "gmask_id", types=(int,)),
        *_common(),
        *_PREFIX,
    ),
    "chatglm2": (
        _size("padded_vocab_size", "vocab_size"),
        _size("hidden_size", "hidden_size"),
        _size("num_layers", "num_layers"),
        _size("num_attention_heads", "num_heads"),
        _size("kv_channels", "head_dim"),
        Row("multi_query_attention", "fused_rows", values={True: "blocks", False: "per_head"}),
        Row("multi_query_group_num", "num_kv_groups", 1, types=(int,)),
        _size("ffn_hidden_size", "feedforward_size"),
        _size("seq_length", "max_positions"),
        Row("layernorm_epsilon", "norm_eps", types=(float, int)),
        Row("rmsnorm", "norm", True, values={True: "rmsnorm", False: "layernorm"}),
        Row("apply_residual_connection_post_layernorm", "residual", False, values=_RESIDUALS),
        _flag("post_layer_norm", "final_norm", True),
        _flag("add_qkv_bias", "query_key_value_bias", False),
        _flag("add_bias_linear", "attention_output_bias", False),
        _flag("apply_query_key_layer_scaling", "layer_scaling", True),
        Row("rope_ratio", "rope_ratio", 1, types=(float, int)),
        Row("attention_softmax_in_fp32", default=True, only=(True,)),
        Row("fp32_residual_connection", default=False, only=(False,)),
        Row("original_rope", default=True, only=(True,)),
        Row("tie_word_embeddings", default=False, only=(False,)),
        Row("hidden_dropout", "hidden_dropout", 0.0, types=(float, int), read=float),
        Row("attention_dropout", "attention_dropout", 0.0, types=(float, int), read=float),
        _id("bos_token_id", "bos_id"),
        *_common(),
        *_PREFIX,
    ),
    "llama": (
        *_hugging_face(positions=2048, groups=None, head_dim=None, bos=1),
        _flag("attention_bias", "query_key_value_bias", False),
        _flag("mlp_bias", "feedforward_bias", False),
        Row("quantization_bit", "quantization_bits", 0, values=_BITS),  # ours: what ChatGLM's files say
        Row("pretraining_tp", default=1, only=(1,)),
        Row("rope_interleaved", default=False, only=(False,)),
        *_common(eos=2),
    ),
    "glm": (
        *_hugging_face(positions=131072, groups=2, head_dim=128, bos=None),
        _flag("attention_bias", "query_key_value_bias", True),
        Row("partial_rotary_factor", "rotary_fraction", 0.5, types=(float, int)),
        Row("quantization_bit", "quantization_bits", 0, values=_BITS),  # ours, as for llama
        *_common(eos=[151329, 151336, 151338], pad=151329),
    ),
}

# Keys that say nothing about the network: provenance, or defaults of generation and of other heads.
_IGNORED = """
    _name_or_path architectures auto_map model_type transformers_version use_cache initializer_range
    bias_dropout_fusion classifier_dropout output_attentions output_hidden_states return_dict
    chunk_size_feed_forward is_encoder_decoder is_decoder add_cross_attention cross_attention_hidden_size
    tie_encoder_decoder problem_type num_labels id2label label2id finetuning_task task_specific_params
    tokenizer_class prefix sep_token_id decoder_start_token_id gradient_checkpointing max_length min_length
    do_sample temperature top_p top_k typical_p num_beams num_beam_groups diversity_penalty early_stopping
    repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids
    num_return_sequences output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id
    remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens tf_legacy_loss
    torchscript use_bfloat16 pruned_heads is_llama_config interpolate_factor _attn_implementation_autoset
    transformers.js_config
"""
IGNORED = frozenset(_IGNORED.split())


def read_official(official: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ModelConfig for an official ``config.json``.

    Raises:
        ConfigError: naming the key whose absence, presence or value stands in the way.
    """
    from glm_edu.config import FAMILIES

    if not isinstance(official, Mapping):
        raise ConfigError(f"config.json should hold an object, not a {type(official).__name__}.")
    layout = _layout(official)
    keys = _old_spelling(official)
    ours = dict(FAMILIES[layout])
    for row in TABLE[layout]:
        value = keys.pop(row.key, row.default)
        if value is REQUIRED:
            raise ConfigError(f"config.json: {row.key} is missing; a {layout} checkpoint cannot be read without it.")
        if row.field:
            ours[row.field] = row.to_ours(value)
        else:
            row.to_ours(value)
    ours |= dict(_derived(layout, ours, official))
    _refuse_disagreement(layout, ours, keys)
    if unknown := sorted(set(keys) - IGNORED):
        raise ConfigError(
            f"config.json: unknown {'keys' if len(unknown) > 1 else 'key'} {', '.join(unknown)} for a {layout} model. "
            "They may change the network, so they are refused; remove them if you know that they do not."
        )
    return ours


def write_official(config: ModelConfig) -> dict[str, Any]:
    """An official ``config.json`` that reads back as ``config``.

    Raises:
        ConfigError: the config holds a choice that the official format cannot say (rotary tables in another dtype).
    """
    from glm_edu.config import ModelConfig

    official: dict[str, Any] = {"model_type": "chatglm" if config.layout == "chatglm2" else config.layout}
    if config.layout == "chatglm2":
        official["_name_or_path"] = "THUDM/chatglm3-6b" if config.rotary_angles == "float32" else "THUDM/chatglm2-6b"
    for row in TABLE[config.layout]:
        value = row.to_official(config)
        if value != row.default or value is None:  # a null is written: the official default of an id is a number
            official[row.key] = value
    back = ModelConfig(**read_official(official))
    lost = [name for name in vars(config) if getattr(back, name) != getattr(config, name)]
    if lost:
        words = ", ".join(f"{name}={getattr(config, name)!r}" for name in lost)
        raise ConfigError(f"A {config.layout} config.json cannot say: {words}.")
    return official


def official_names(said: str, layout: str) -> str:
    """The official keys of the fields that a message names, to be put behind it; nothing where all are alike."""
    named = [row for row in TABLE[layout] if row.field and f"{row.field}=" in said and row.field != row.key]
    return f" ({', '.join(f'{row.field} is {row.key} there' for row in named)})" if named else ""


def _layout(official: Mapping[str, Any]) -> str:
    kind = official.get("model_type")
    if kind == "chatglm" and "inner_hidden_size" in official:
        return "chatglm"
    if kind == "chatglm" and "padded_vocab_size" in official:
        return "chatglm2"
    if kind == "chatglm":
        raise ConfigError("config.json: model_type chatglm needs inner_hidden_size (ChatGLM-6B) or padded_vocab_size.")
    if isinstance(kind, str) and kind in TABLE and kind != "chatglm2":
        return str(kind)
    raise ConfigError(f"config.json: model_type={kind!r} is unknown; known are chatglm, glm and llama.")


def _old_spelling(official: Mapping[str, Any]) -> dict[str, Any]:
    """transformers 5 writes ``dtype`` and ``rope_parameters``; the tables speak the published 4.x names."""
    keys = dict(official)
    if "dtype" in keys and keys.setdefault("torch_dtype", keys["dtype"]) != keys.pop("dtype"):
        raise ConfigError(
            f"config.json: dtype={official['dtype']!r} disagrees with torch_dtype={keys['torch_dtype']!r}."
        )
    rope = keys.pop("rope_parameters", None)
    if rope is not None:
        rope = dict(rope) if isinstance(rope, Mapping) else {"rope_type": rope}
        if (kind := rope.pop("rope_type", "default")) != "default":
            raise ConfigError(f"config.json: rope_parameters.rope_type={kind!r} is not supported; it may be default.")
        for key, value in rope.items():
            if key not in ("rope_theta", "partial_rotary_factor"):
                raise ConfigError(f"config.json: unknown key rope_parameters.{key}.")
            if keys.setdefault(key, value) != value:
                raise ConfigError(f"config.json: {key}={keys[key]!r} disagrees with rope_parameters.{key}={value!r}.")
    return keys


def _derived(layout: str, ours: Mapping[str, Any], official: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the official code works out from other keys."""
    heads = ours["num_heads"]
    if heads < 1:
        raise ConfigError(f"config.json: num_attention_heads={heads} must be at least 1.")
    if layout == "chatglm" or ours["fused_rows"] == "per_head":
        if ours.get("prefix_length") and layout == "chatglm2" and ours["num_kv_groups"] != heads:
            raise ConfigError(
                "config.json: pre_seq_len with multi_query_attention=false needs multi_query_group_num == "
                "num_attention_heads; the official prefix has another width otherwise and its own code fails."
            )
        yield "num_kv_groups", heads
    elif ours["num_kv_groups"] is None:
        yield "num_kv_groups", heads
    if layout == "chatglm" or ours["head_dim"] is None:
        if ours["hidden_size"] % heads:
            raise ConfigError(f"config.json: hidden_size={ours['hidden_size']} is not a multiple of {heads} heads.")
        yield "head_dim", ours["hidden_size"] // heads
    if layout == "chatglm2":
        yield "query_key_value_bias", ours["query_key_value_bias"] or ours["attention_output_bias"]
        yield "feedforward_bias", ours["attention_output_bias"]
        third = "rope_ratio" in official or "chatglm3" in str(official.get("_name_or_path", ""))
        yield "rotary_frequencies", "float32" if third else "model"  # nothing else in config.json tells 2 from 3
        yield "rotary_angles", "float32" if third else "model"
    if layout == "llama":
        yield "attention_output_bias", ours["query_key_value_bias"]


def _refuse_disagreement(layout: str, ours: Mapping[str, Any], left: dict[str, Any]) -> None:
    """Keys that say a second time what another key said already."""
    twice = {"chatglm2": {"vocab_size": "vocab_size", "num_hidden_layers": "num_layers"},
             "chatglm": {"num_hidden_layers": "num_layers"},
             "llama": {"max_sequence_length": "max_positions"}}.get(layout, {})  # fmt: skip
    for key, field in twice.items():
        value = left.pop(key, ours[field])
        if value != ours[field]:
            raise ConfigError(f"config.json: {key}={value!r} disagrees with {field}={ours[field]!r}.")
