"""Turn a GGUF file of a LLaMA model into an official directory: config.json, model.safetensors (float32), a tokenizer.

The weights are dequantized to exactly the numbers that the GGUF stands for. llama.cpp stores the rows of query and key
so that rotary turns neighbours (2i, 2i + 1); the official layout turns halves (i, i + d/2). The rows are put back.

The ``gguf`` package reads the file; it is needed here alone, so it is imported when it is called.

Sources: the GGUF specification and convert_hf_to_gguf.py of llama.cpp (LlamaModel.permute), which this undoes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tqdm import tqdm

from glm_edu.errors import CheckpointError

if TYPE_CHECKING:
    from gguf import GGUFReader
    from tokenizers import Tokenizer

NAMES = {  # GGUF name -> official name; blk.{i}. and model.layers.{i}. stand before those of a block
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
SPLIT_DIGITS = {"smollm": True, "gpt-2": False}  # tokenizer.ggml.pre -> is each digit a piece of its own
CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type


def convert(gguf: Path, directory: Path) -> None:
    """Write the official directory of a GGUF file; it appears when it is whole.

    Raises:
        CheckpointError: the ``gguf`` package is absent, the file is broken, or it holds another architecture than
            llama, or a tensor or tokenizer that is not known here.
    """
    try:
        reader = _gguf().GGUFReader(gguf)
    except (ValueError, IndexError, OSError) as error:
        raise CheckpointError(f"{gguf} is no GGUF file that can be read: {error}. Fetch it again.") from error
    config = official_config(reader)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory.parent, prefix=".converting-") as made:
        place = Path(made, "official")
        place.mkdir()
        save_file(dict(official_tensors(reader, config)), place / "model.safetensors", metadata={"format": "pt"})
        _write_json(place / "config.json", config)
        tokenizer(reader).save(str(place / "tokenizer.json"))
        _write_json(place / "tokenizer_config.json", tokenizer_config(reader))
        _put(place, directory)


def _gguf() -> ModuleType:
    try:
        import gguf
    except ImportError as error:
        raise CheckpointError("Reading a GGUF file needs the gguf package: pip install gguf.") from error
    return gguf


def _put(made: Path, directory: Path) -> None:
    """Give what was made its place, at one stroke. Who made the same at the same time may have been first."""
    try:
        made.rename(directory)
    except OSError:
        if not (directory / "config.json").is_file():
            raise


def official_config(reader: GGUFReader) -> dict[str, Any]:
    """``config.json`` of a LLaMA model."""
    if (architecture := _read(reader, "general.architecture")) != "llama":
        raise CheckpointError(f"general.architecture is {architecture!r}; only llama can be converted.")
    heads = _read(reader, "llama.attention.head_count")
    hidden = _read(reader, "llama.embedding_length")
    if _read(reader, "llama.rope.dimension_count", hidden // heads) != hidden // heads:
        raise CheckpointError("llama.rope.dimension_count is less than a head: partial rotary is not LLaMA.")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(_read(reader, "tokenizer.ggml.tokens")),
        "hidden_size": hidden,
        "intermediate_size": _read(reader, "llama.feed_forward_length"),
        "num_hidden_layers": _read(reader, "llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _read(reader, "llama.attention.head_count_kv", heads),
        "max_position_embeddings": _read(reader, "llama.context_length"),
        "rms_norm_eps": _decimal(_read(reader, "llama.attention.layer_norm_rms_epsilon")),
        "rope_theta": _decimal(_read(reader, "llama.rope.freq_base", 10000.0)),
        "hidden_act": "silu",
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
        "bos_token_id": _read(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _read(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _read(reader, "tokenizer.ggml.padding_token_id", None),
        "torch_dtype": "float32",
    }


def official_tensors(reader: GGUFReader, config: dict[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Official name and weight of every tensor."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for tensor in tqdm(reader.tensors, desc="converting", unit="tensor", delay=1, leave=False, disable=None):
        *block, name, kind = tensor.name.split(".")
        if name not in NAMES or kind != "weight":
            raise CheckpointError(f"The tensor {tensor.name} is not known in a LLaMA model.")
        weight = np.ascontiguousarray(_gguf().dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        if name in heads:
            weight = rows_in_halves(weight, heads[name])
        stem = f"model.layers.{block[1]}." if block else ""
        yield f"{stem}{NAMES[name]}.weight", weight


def rows_in_halves(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of each head from x0 y0 x1 y1 ... (llama.cpp) to x0 x1 ... y0 y1 ... (official)."""
    pairs = weight.reshape(heads, -1, 2, weight.shape[1])  # n d/2 2 h
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(weight.shape))


def tokenizer(reader: GGUFReader) -> Tokenizer:
    """The byte-level BPE tokenizer in the metadata."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind, pre = _read(reader, "tokenizer.ggml.model"), _read(reader, "tokenizer.ggml.pre")
    if kind != "gpt2" or pre not in SPLIT_DIGITS:
        raise CheckpointError(
            f"The tokenizer {kind!r} with {pre!r} is not known; gpt2 with {' or '.join(SPLIT_DIGITS)} is."
        )
    tokens, types = _read(reader, "tokenizer.ggml.tokens"), _read(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _read(reader, "tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, pieces]) if SPLIT_DIGITS[pre] else pieces
    made.decoder = decoders.ByteLevel()
    for add, wanted in ((made.add_special_tokens, CONTROL), (made.add_tokens, USER_DEFINED)):
        chosen = [token for token, kind in zip(tokens, types, strict=True) if kind == wanted]
        add([AddedToken(token, special=wanted == CONTROL, normalized=False) for token in chosen])
    return made


def tokenizer_config(reader: GGUFReader) -> dict[str, Any]:
    """``tokenizer_config.json``: what stands beside ``tokenizer.json`` in a published directory."""
    tokens = _read(reader, "tokenizer.ggml.tokens")
    ids = {role: _read(reader, f"tokenizer.ggml.{name}_token_id", None)
           for role, name in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))}  # fmt: skip
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": _read(reader, "llama.context_length"),
        **{f"{role}_token": tokens[i] for role, i in ids.items() if i is not None},
        "chat_template": _read(reader, "tokenizer.chat_template", None),
    }


_REQUIRED = object()


def _read(reader: GGUFReader, key: str, default: Any = _REQUIRED) -> Any:
    field = reader.get_field(key)
    if field is not None:
        return field.contents()
    if default is _REQUIRED:
        raise CheckpointError(f"The GGUF has no {key}.")
    return default


def _decimal(value: float) -> float:
    """The number that was meant by a float32: 1e-5, not 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
