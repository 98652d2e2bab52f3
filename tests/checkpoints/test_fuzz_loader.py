"""The fuzzer finds nothing in a few hundred mutations, would find a mistake, and what it once found stays mended."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from small_models import small_model

from glm_edu import ModelConfig, Transformer
from glm_edu.checkpoints import plan
from glm_edu.errors import CheckpointError, ConfigError
from tools.fuzz import verdict as verdicts
from tools.fuzz.__main__ import fuzz
from tools.fuzz.mutations import mutate

Broken = Callable[..., Path]


def test_a_few_hundred_mutations_load_as_the_files_say_or_are_refused() -> None:
    tally, failures = fuzz(count=160, seed=1_000_000)  # seeds that the command's 10,000 do not reach
    assert not failures
    assert tally["loads"] > 10 and tally["refused: CheckpointError"] > 100 and tally["refused: ConfigError"] > 10


def test_a_mutation_is_the_same_every_time(saved: Broken, tmp_path: Path) -> None:
    def mutated(name: str, seed: int) -> tuple[str, dict[str, bytes]]:
        directory = tmp_path / name
        directory.mkdir()
        for path in saved().iterdir():
            (directory / path.name).write_bytes(path.read_bytes())
        return mutate(directory, Random(seed)), {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}

    assert mutated("a", 7) == mutated("b", 7) != mutated("c", 8)


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("kind", ["chatglm", "chatglm2", "llama-tied"])
def test_the_verdict_on_a_sound_directory_and_on_a_loader_that_errs(
    saved: Broken, kind: str, safe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = saved(kind, safe_serialization=safe)
    assert verdicts.verdict(directory) == "loads"
    other = small_model(kind)
    with torch.no_grad():
        other.blocks[1].feedforward.down.weight[0, 0] += 1
    monkeypatch.setattr(Transformer, "from_pretrained", lambda directory: other)
    with pytest.raises(verdicts.Wrong, match="is not what the file says"):
        verdicts.verdict(directory)


def test_the_verdict_on_an_error_that_names_nothing(saved: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(directory: Path) -> None:
        raise CheckpointError("something is wrong")

    monkeypatch.setattr(Transformer, "from_pretrained", refuse)
    with pytest.raises(verdicts.Wrong, match="names no file"):
        verdicts.verdict(saved())


# what it found


def _config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "key, value, says",
    [("num_key_value_heads", 3, "num_kv_groups is num_key_value_heads there"),
     ("max_position_embeddings", -1, "max_positions is max_position_embeddings there"),
     ("intermediate_size", 2**62, "feedforward_size is intermediate_size there"),
     ("vocab_size", 10**30, "vocab_size=1000000000000000000000000000000 is larger"),
     ("vocab_size", 2**47, "no computer holds them")],
)  # fmt: skip
def test_sizes_that_no_network_has_name_the_file_and_its_key(broken: Broken, key: str, value: int, says: str) -> None:
    directory = broken()
    _config(directory, **{key: value})
    for read in (Transformer.from_pretrained, plan):
        with pytest.raises(ConfigError, match=f"config.json: .*{says}"):
            read(directory)


def test_more_layers_than_tensors_are_refused_at_once(broken: Broken) -> None:
    directory = broken()
    _config(directory, num_hidden_layers=10**9)
    with pytest.raises(CheckpointError, match=r"config.json calls for 1000000000 layers, .* hold 21 tensors"):
        Transformer.from_pretrained(directory)


@pytest.mark.parametrize("kind", ["chatglm", "chatglm2-prefix", "llama-tied"])
def test_the_parameters_are_counted_with_those_of_the_prefix(kind: str) -> None:
    model = small_model(kind)
    count = model.config.parameter_count + model.config.prefix_parameter_count
    assert count == sum(p.numel() for p in model.parameters())
    plain = small_model("chatglm2-prefix", prefix_projection=False)
    assert plain.config.prefix_parameter_count == plain.prefix.embedding.weight.numel()
    assert ModelConfig.preset("tiny-llama").prefix_parameter_count == 0


def test_int4_of_an_odd_width_names_the_file(broken: Broken) -> None:
    directory = broken("chatglm2")
    _config(directory, quantization_bit=4, ffn_hidden_size=13)
    with pytest.raises(ConfigError, match=r"config.json: quantization_bit=4: .*13 columns are odd"):
        Transformer.from_pretrained(directory)


def test_a_shard_whose_name_no_disk_takes(broken: Broken) -> None:
    directory = broken(max_shard_size="60KB")
    path = directory / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["lm_head.weight"] = "x" * 300
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"index.json places lm_head.weight in 'xxx"):
        Transformer.from_pretrained(directory)


def test_a_bin_file_whose_entries_are_not_where_its_table_says(broken: Broken) -> None:
    """A mapping finds a tensor by its local header: over a damaged one it would read other numbers without a word."""
    path = broken(safe_serialization=False) / "pytorch_model.bin"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = next(entry for entry in archive.infolist() if entry.filename.endswith("data/5"))
    content[entry.header_offset + 26] += 8  # the length of its name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin is no pytorch file of weights"):
        Transformer.from_pretrained(path.parent)


def test_a_compressed_bin_file_is_refused(broken: Broken, tmp_path: Path) -> None:
    path = broken(safe_serialization=False) / "pytorch_model.bin"
    packed = tmp_path / "packed"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    packed.replace(path)
    with pytest.raises(CheckpointError, match=r"data.pkl is compressed"):
        Transformer.from_pretrained(path.parent)


def test_a_bin_file_whose_table_makes_an_entry_shorter(broken: Broken) -> None:
    """A mapping would take what is missing from the bytes of the next entry."""
    path = broken(safe_serialization=False) / "pytorch_model.bin"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = next(entry for entry in archive.infolist() if entry.filename.endswith("data/5"))
        name = content.rindex(entry.filename.encode())  # in the table, where the sizes stand 26 and 22 bytes before it
    for place in (name - 26, name - 22):
        content[place : place + 4] = (entry.file_size - 4).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin: its tensors take \d+ bytes, and its entries hold"):
        Transformer.from_pretrained(path.parent)
