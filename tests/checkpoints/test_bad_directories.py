"""A broken directory gets an error that names the thing and the mend. Nothing is skipped, nothing is guessed."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from glm_edu import GLMError, Transformer
from glm_edu.checkpoints import CheckpointWarning
from glm_edu.checkpoints.files import say_bytes
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, ConfigError

Broken = Callable[..., Path]
SHARDED = {"max_shard_size": "60KB"}  # three shards
UP = "model.layers.0.mlp.up_proj.weight"


def _fails(directory: Path, *says: str, error: type[GLMError] = CheckpointError) -> str:
    """The message of the error that loading gives; every one of ``says`` stands in it."""
    with pytest.raises(error) as caught:
        Transformer.from_pretrained(directory)
    for text in says:
        assert text in str(caught.value), str(caught.value)
    return str(caught.value)


def _cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def _edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))


def _rewrite(directory: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Change the tensors of model.safetensors."""
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors")


# the directory


def test_no_such_directory(tmp_path: Path) -> None:
    _fails(tmp_path / "nowhere", "There is no directory", "nowhere", error=CheckpointNotFoundError)
    with pytest.raises(FileNotFoundError):
        Transformer.from_pretrained(tmp_path / "nowhere")


def test_an_empty_directory(tmp_path: Path) -> None:
    _fails(tmp_path, "There is no config.json", error=CheckpointNotFoundError)


def test_a_file_instead_of_a_directory(broken: Broken) -> None:
    _fails(broken() / "model.safetensors", "is a file", "Give the directory")


def test_a_config_without_weights(broken: Broken) -> None:
    directory = broken()
    (directory / "model.safetensors").unlink()
    _fails(directory, "holds no weights", "model.safetensors or pytorch_model.bin", error=CheckpointNotFoundError)


def test_shards_without_their_index(broken: Broken) -> None:
    directory = broken(**SHARDED)
    (directory / "model.safetensors.index.json").unlink()
    _fails(directory, "without their index", "model-00001-of-0000", error=CheckpointNotFoundError)


# config.json


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "text, says, error",
    [("{", "config.json is not valid JSON", CheckpointError), ("", "not valid JSON", CheckpointError),
     ("[1, 2]", "should hold an object", ConfigError), ("null", "should hold an object", ConfigError),
     ("[" * 100_000, "not valid JSON", CheckpointError)],
)  # fmt: skip
def test_a_config_that_is_not_an_object(broken: Broken, text: str, says: str, error: type[GLMError]) -> None:
    directory = broken()
    (directory / "config.json").write_text(text)
    _fails(directory, says, error=error)


def test_a_config_that_is_not_text(broken: Broken) -> None:
    directory = broken()
    (directory / "config.json").write_bytes(b"\xff\xfe\x00{")
    _fails(directory, "config.json is not valid JSON")


@pytest.mark.parametrize(
    "change", [{"model_type": "bert"}, {"hidden_act": "gelu"}, {"experts": 8}, {"torch_dtype": "int8"}], ids=str
)
def test_what_the_config_says_and_the_network_does_not_have(broken: Broken, change: dict[str, Any]) -> None:
    directory = broken()
    _edit(directory / "config.json", lambda config: config | change)
    _fails(directory, *change, error=ConfigError)


# one file of weights


@pytest.mark.parametrize("share", [0, 0.0005, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model-00002-of-00003.safetensors",
                                  "pytorch_model-00002-of-00003.bin"])  # fmt: skip
def test_a_truncated_file(broken: Broken, name: str, share: float) -> None:
    form = SHARDED if "-of-" in name else {}
    path = broken(safe_serialization=name.endswith(".safetensors"), **form) / name
    _cut(path, int(path.stat().st_size * share))
    _fails(path.parent, name, "fetch the file again")


def test_a_truncated_safetensors_file_says_how_much_is_there(broken: Broken) -> None:
    path = broken() / "model.safetensors"
    size = path.stat().st_size
    _cut(path, 20_000)
    _fails(path.parent, f"ends after 20 KB of the {size / 1000:.3g} KB that its header promises")


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.5, 0.999])
def test_a_truncated_file_of_the_old_format(broken: Broken, share: float) -> None:
    directory = broken(safe_serialization=False)
    path = directory / "pytorch_model.bin"
    torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)
    Transformer.from_pretrained(directory)
    _cut(path, int(path.stat().st_size * share))
    _fails(directory, "pytorch_model.bin", "fetch the file again")


@pytest.mark.parametrize("content", [bytes(500), b"hello " * 100, b"<!DOCTYPE html><html>404</html>", bytes(range(9))])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_of_something_else(broken: Broken, name: str, content: bytes) -> None:
    directory = broken()
    (directory / "model.safetensors").unlink()
    (directory / name).write_bytes(content)
    _fails(directory, name)


def test_a_corrupt_header(broken: Broken) -> None:
    path = broken() / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[20] = 0xFF
    path.write_bytes(data)
    _fails(path.parent, "is no safetensors file")


def test_a_git_lfs_pointer(broken: Broken) -> None:
    path = broken() / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    _fails(path.parent, "Git LFS pointer", "git lfs pull")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_the_disk_does_not_give(broken: Broken, name: str) -> None:
    path = broken() / name
    path.unlink()
    path.symlink_to("/proc/self/mem")  # a regular file whose first byte cannot be read
    _fails(path.parent, f"{name} cannot be read: Input/output error")


@pytest.mark.parametrize(("count", "words"), [(12, "12 bytes"), (812e6, "812 MB"), (1.9e9, "1.9 GB")])
def test_sizes_are_said_in_words(count: float, words: str) -> None:
    assert say_bytes(count) == words


def test_a_directory_in_place_of_a_shard(broken: Broken) -> None:
    path = broken(**SHARDED) / "model-00002-of-00003.safetensors"
    path.unlink()
    path.mkdir()
    _fails(path.parent, path.name, error=CheckpointNotFoundError)


class _Evil:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize("form", ["zip", "old", "pickle"])
def test_pickled_code_is_refused_and_not_run(broken: Broken, tmp_path: Path, form: str) -> None:
    directory = broken(safe_serialization=False)
    path = directory / "pytorch_model.bin"
    evil = {"evil": _Evil(tmp_path / "proof")}
    if form == "pickle":
        path.write_bytes(pickle.dumps(evil, protocol=2))
    else:
        torch.save(torch.load(path) | evil, path, _use_new_zipfile_serialization=form == "zip")
    message = _fails(directory, "pytorch_model.bin", "would run code", "posix.mkdir", "safetensors")
    assert "weights_only" not in message, "no advice to open it anyway"
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    "content, says",
    [({"state_dict": {"a": torch.ones(1)}, "epoch": 3}, "state_dict (dict), epoch (int)"),
     ([torch.ones(1)], "holds a list"), (torch.ones(1), "holds a Tensor")],
)  # fmt: skip
def test_a_bin_file_that_is_no_state_dict(broken: Broken, content: Any, says: str) -> None:
    directory = broken(safe_serialization=False)
    torch.save(content, directory / "pytorch_model.bin")
    _fails(directory, says, "xpected tensors by name")


# the index


@pytest.mark.parametrize("safe", [True, False])
def test_absent_shards_are_all_named(broken: Broken, safe: bool) -> None:
    directory = broken(safe_serialization=safe, **SHARDED)
    gone = sorted(p.name for p in directory.glob("*-of-*"))[1:]
    for name in gone:
        (directory / name).unlink()
    _fails(directory, *gone, "Fetch them", error=CheckpointNotFoundError)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": ["a"]}', "3"])
def test_a_broken_index(broken: Broken, text: str) -> None:
    directory = broken(**SHARDED)
    (directory / "model.safetensors.index.json").write_text(text)
    _fails(directory, "model.safetensors.index.json")


@pytest.mark.parametrize(
    "shard", ["../other/model.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", None, 3, "a\\b"], ids=repr
)
def test_a_shard_outside_the_directory_is_refused(broken: Broken, shard: Any) -> None:
    directory = broken(**SHARDED)
    outside = directory.parent / "other"
    outside.mkdir()
    save_file({UP: torch.zeros(12, 64)}, outside / "model.safetensors")
    _edit(directory / "model.safetensors.index.json", lambda index: index["weight_map"].update({UP: shard}))
    _fails(directory, UP, repr(shard), "without a path")


def test_an_index_that_places_tensors_where_they_are_not(broken: Broken) -> None:
    directory = broken(**SHARDED)

    def swap(index: dict[str, Any]) -> None:
        first, last = "model.embed_tokens.weight", "lm_head.weight"
        places = index["weight_map"]
        places[first], places[last] = places[last], places[first]

    _edit(directory / "model.safetensors.index.json", swap)
    _fails(directory, "lm_head.weight is not in model-00001", "model.embed_tokens.weight is not in model-00003",
           "lm_head.weight is in model-00003-of-00003.safetensors, where the index does not place it")  # fmt: skip


def test_an_index_that_leaves_a_tensor_out(broken: Broken) -> None:
    directory = broken(**SHARDED)
    _edit(directory / "model.safetensors.index.json", lambda index: index["weight_map"].pop(UP) and None)
    _fails(directory, f"{UP} is in model-0000", "where the index does not place it")


# the tensors


def test_missing_extra_and_misshaped_tensors_are_listed_in_one_error(broken: Broken) -> None:
    directory = broken()

    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["model.norm.weight"], tensors["model.layers.1.self_attn.k_proj.weight"]
        tensors |= {"model.layers.2.input_layernorm.weight": torch.ones(64), "extra.bias": torch.ones(1)}
        tensors[UP] = tensors[UP].T.contiguous()
        tensors["lm_head.weight"] = tensors["lm_head.weight"].to(torch.int8)

    _rewrite(directory, change)
    _fails(directory, "2 missing:", "model.norm.weight", "model.layers.1.self_attn.k_proj.weight",
           "2 extra:", "model.layers.2.input_layernorm.weight", "extra.bias",
           "2 of the wrong kind:", f"{UP}: shape [64, 12] in the file, [12, 64] by config.json",
           "lm_head.weight: torch.int8")  # fmt: skip


@pytest.mark.parametrize(
    "kind, name, rows",
    [("chatglm", "transformer.layers.1.attention.query_key_value.weight", 192),
     ("chatglm2", "transformer.encoder.layers.1.self_attention.query_key_value.weight", 128),
     ("glm", "model.layers.1.mlp.gate_up_proj.weight", 24)],
)  # fmt: skip
def test_a_fused_tensor_is_misshaped_as_a_whole(broken: Broken, kind: str, name: str, rows: int) -> None:
    directory = broken(kind)
    _rewrite(directory, lambda tensors: tensors.update({name: tensors[name][1:].clone()}))
    says = f"{name}: shape [{rows - 1}, 64] in the file, [{rows}, 64] by config.json"
    assert _fails(directory, says).count("shape") == 1


def test_a_sparse_tensor_is_refused(broken: Broken) -> None:
    directory = broken(safe_serialization=False)
    tensors = torch.load(directory / "pytorch_model.bin")
    tensors[UP] = tensors[UP].to_sparse()
    torch.save(tensors, directory / "pytorch_model.bin")
    _fails(directory, UP)


def test_a_vocabulary_of_another_era_is_a_shape_that_does_not_fit(broken: Broken) -> None:
    directory = broken("chatglm")
    _edit(directory / "config.json", lambda config: config | {"vocab_size": 60})
    _fails(directory, "transformer.word_embeddings.weight: shape [40, 64] in the file, [60, 64] by config.json")


def test_a_prefix_that_the_config_does_not_know_is_extra(broken: Broken) -> None:
    directory = broken("chatglm2-prefix")
    _edit(directory / "config.json", lambda config: config | {"pre_seq_len": None, "prefix_projection": False})
    _fails(directory, "5 extra:", "transformer.prefix_encoder.trans.2.bias", "pre_seq_len")


def test_a_prefix_that_the_file_does_not_have_is_missing(broken: Broken) -> None:
    directory = broken("chatglm2")
    _edit(directory / "config.json", lambda config: config | {"pre_seq_len": 4})
    _fails(directory, "1 missing:", "transformer.prefix_encoder.embedding.weight")


def test_an_untied_model_needs_its_head(broken: Broken) -> None:
    directory = broken()
    _rewrite(directory, lambda tensors: tensors.pop("lm_head.weight"))
    _fails(directory, "1 missing:", "lm_head.weight", "tie_word_embeddings true")


def test_a_tied_head_may_repeat_the_embedding_and_nothing_else(broken: Broken) -> None:
    directory = broken("llama-tied")
    table = "model.embed_tokens.weight"
    _rewrite(directory, lambda tensors: tensors.update({"lm_head.weight": tensors[table].clone()}))
    assert Transformer.from_pretrained(directory).head is None
    head = load_file(directory / "model.safetensors")[table]
    for wrong in (head + 1, head[:-1].clone(), head.half()):
        _rewrite(directory, lambda tensors, wrong=wrong: tensors.update({"lm_head.weight": wrong}))
        _fails(directory, "lm_head.weight differs from model.embed_tokens.weight", "tie_word_embeddings to false")


def test_quantized_weights_say_what_they_are(broken: Broken) -> None:
    directory = broken("chatglm")
    name = "transformer.layers.0.attention.dense.weight"
    _rewrite(directory, lambda t: t.update({name: t[name].to(torch.int8), f"{name}_scale": torch.ones(64)}))
    _fails(directory, f"{name}: torch.int8", f"{name}_scale", "config.json should say quantization_bit")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_warned_about_by_name(broken: Broken, value: float) -> None:
    directory = broken("chatglm2")
    bad = ["transformer.encoder.layers.1.self_attention.query_key_value.bias", "transformer.output_layer.weight"]
    _rewrite(directory, lambda tensors: [tensors[name].view(-1)[-1:].fill_(value) for name in bad])
    with pytest.warns(CheckpointWarning) as caught:
        model = Transformer.from_pretrained(directory)
    (warning,) = caught
    assert str(warning.message) == f"NaN or infinite weights in {', '.join(bad)}."
    assert not model.head.weight.isfinite().all()


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_a_weight_that_the_dtype_cannot_hold_is_warned_about(broken: Broken, stored: torch.dtype) -> None:
    """bfloat16 is as wide as float16 and reaches much further."""
    directory, bad = broken("chatglm2"), "transformer.output_layer.weight"
    _rewrite(directory, lambda tensors: tensors.update({bad: (tensors[bad] + 1e9).to(stored)}))
    with pytest.warns(CheckpointWarning, match=f"infinite weights in {bad}"):
        assert Transformer.from_pretrained(directory, dtype=torch.float16).head.weight.isinf().all()


def test_sound_weights_are_not_warned_about(saved: Callable[..., Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Transformer.from_pretrained(saved())


def test_a_number_too_large_for_the_dtype_asked_for_is_warned_about(broken: Broken) -> None:
    directory = broken()
    _rewrite(directory, lambda tensors: tensors[UP].view(-1)[0:1].fill_(1e6))
    Transformer.from_pretrained(directory)
    with pytest.warns(CheckpointWarning, match=UP):
        Transformer.from_pretrained(directory, dtype="float16")
