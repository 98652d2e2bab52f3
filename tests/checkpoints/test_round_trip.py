"""load(save(x)) is x to the last bit, in every layout and form, and the official code accepts what was saved."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from small_models import CASES, GOLDEN, LAYOUTS, same, small_model

from glm_edu import Transformer
from glm_edu.checkpoints import write
from glm_edu.errors import CheckpointError, ConfigError, InputError

FORMS: dict[str, dict[str, Any]] = {
    "one file": {},
    "shards": {"max_shard_size": 20_000},
    "one .bin": {"safe_serialization": False},
    ".bin shards": {"max_shard_size": "20 KB", "safe_serialization": False},
}


def _files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_layout_comes_back_bit_for_bit(kind: str, form: str, tmp_path: Path) -> None:
    model = small_model(kind)
    model.save_pretrained(tmp_path, **FORMS[form])
    assert same(Transformer.from_pretrained(tmp_path), model)
    assert len(list(tmp_path.glob("*-of-*"))) == 0 or form in ("shards", ".bin shards")


@pytest.mark.parametrize("case", CASES)
def test_a_strict_official_load_would_accept_it(case: str, tmp_path: Path) -> None:
    """The official names are there again, every one, with the official values, shapes and dtypes."""
    Transformer.from_pretrained(GOLDEN / case).save_pretrained(tmp_path)
    official, written = load_file(GOLDEN / case / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert written.keys() == official.keys()
    for name, tensor in official.items():
        assert written[name].dtype == tensor.dtype and torch.equal(written[name], tensor), name


@pytest.mark.parametrize("case", ["llama_gqa", "llama_bias", "glm4_decode"])
@torch.no_grad()
def test_transformers_itself_reads_it(case: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    ours = Transformer.from_pretrained(GOLDEN / case)
    ours.save_pretrained(tmp_path, max_shard_size="100KB")
    theirs, report = AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True, dtype=torch.float32, attn_implementation="eager"
    )
    assert not any(report.values()), "no missing, unexpected or mismatched keys"
    ids = torch.randint(0, 512, (1, 12))
    torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)  # float32 noise of the goldens: 4e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["chatglm", "chatglm2", "llama"])
def test_half_precision_comes_back_bit_for_bit(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    small_model(kind).to(dtype).save_pretrained(tmp_path)
    model = Transformer.from_pretrained(tmp_path)
    assert model.config.dtype == str(dtype).removeprefix("torch.")
    expected = small_model(kind).to(dtype).state_dict()
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == dtype and torch.equal(tensor, expected[name])
    stored = load_file(tmp_path / "model.safetensors")
    turns = [tensor.dtype for name, tensor in stored.items() if "inv_freq" in name]
    assert turns == {"chatglm": [torch.float16] * 2, "chatglm2": [dtype], "llama": []}[kind]


@given(limit=st.integers(1, 200_000), kind=st.sampled_from(sorted(LAYOUTS)), safe=st.booleans())
def test_loading_does_not_depend_on_the_number_of_shards(limit: int, kind: str, safe: bool) -> None:
    model = small_model(kind, num_layers=1)
    with TemporaryDirectory() as place:
        model.save_pretrained(place, max_shard_size=limit, safe_serialization=safe)
        assert same(Transformer.from_pretrained(place), model)
        _check_shards(Path(place), limit)


def _check_shards(directory: Path, limit: int) -> None:
    """Shards within the limit (or of one tensor), names and total as official indexes have them."""
    indexes = list(directory.glob("*.index.json"))
    shards = sorted(path.name for path in directory.glob("*-of-*"))
    assert bool(indexes) == bool(shards)
    if not indexes:
        return
    index = json.loads(indexes[0].read_text())
    kind = shards[0].rpartition(".")[2]
    stem = "model" if kind == "safetensors" else "pytorch_model"
    assert shards == [f"{stem}-{i + 1:05d}-of-{len(shards):05d}.{kind}" for i in range(len(shards))]
    total = 0
    for shard in shards:
        path = directory / shard
        tensors = load_file(path) if kind == "safetensors" else torch.load(path, weights_only=True)
        assert {name for name, there in index["weight_map"].items() if there == shard} == tensors.keys()
        sizes = [tensor.nbytes for tensor in tensors.values()]
        assert sum(sizes) <= limit or len(sizes) == 1
        total += sum(sizes)
    assert index["metadata"]["total_size"] == total


def test_the_total_size_of_the_real_index_is_met() -> None:
    """ChatGLM2-6B's own index says 12,487,168,064 bytes: its parameters and 32 inverse frequencies in float16."""
    from glm_edu import ModelConfig
    from glm_edu.checkpoints.fuse import _official_frequencies
    from glm_edu.checkpoints.layout import official_buffers

    config = ModelConfig.preset("chatglm2-6b")
    (_,) = official_buffers(config)
    assert 2 * config.parameter_count + _official_frequencies(config).nbytes == 12_487_168_064


@pytest.mark.parametrize("before", FORMS)
@pytest.mark.parametrize("after", FORMS)
@pytest.mark.parametrize("kind", ["chatglm", "llama"])
def test_a_model_may_be_saved_over_the_directory_it_is_mapped_from(
    kind: str, before: str, after: str, tmp_path: Path
) -> None:
    small_model(kind).save_pretrained(tmp_path, **FORMS[before])
    (tmp_path / "tokenizer.json").write_text("{}")
    model = Transformer.from_pretrained(tmp_path)
    with torch.no_grad():
        model.embedding.weight.add_(1)
    model.save_pretrained(tmp_path, **FORMS[after])
    fresh = Transformer.from_pretrained(tmp_path)
    assert same(fresh, model)
    assert torch.equal(fresh.embedding.weight, small_model(kind).embedding.weight + 1)
    with TemporaryDirectory() as clean:
        model.save_pretrained(clean, **FORMS[after])
        assert _files(tmp_path) == _files(Path(clean)) | {"tokenizer.json"}, "nothing of the first save is left"


@pytest.mark.parametrize("form", FORMS)
def test_a_failed_save_leaves_what_was_there(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_model().save_pretrained(tmp_path, **FORMS["shards"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", full)  # written last: config.json (and the index, and each safetensors header)
    with pytest.raises(CheckpointError, match=r"could not be written.*No space left on device"):
        small_model(num_layers=1).save_pretrained(tmp_path, **FORMS[form])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_saving_needs_one_tensor_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor is put together only after the one before it is in the file."""
    made: list[int] = []

    def watch(entry: write.Entry) -> write.Entry:
        def make() -> torch.Tensor:
            made.append((tmp_path / "x.safetensors").stat().st_size)
            return torch.zeros(entry.shape)

        return write.Entry(entry.name, entry.dtype, entry.shape, make)

    entries = [watch(write.Entry(str(i), torch.float32, (1000, 30), lambda: torch.zeros(0))) for i in range(3)]
    write.write_safetensors(tmp_path / "x.safetensors", entries)
    assert [size // 1000 for size in made] == [0, 120, 240]
    assert load_file(tmp_path / "x.safetensors").keys() == {"0", "1", "2"}


def test_a_bin_file_holds_no_more_than_its_tensors(tmp_path: Path) -> None:
    """A view saved by torch.save brings along all that it is a view of."""
    model = small_model()
    model.embedding.weight = torch.nn.Parameter(torch.randn(4000, 64)[:40])
    model.save_pretrained(tmp_path, safe_serialization=False)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert (tmp_path / "pytorch_model.bin").stat().st_size < 1.2 * weights


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
def test_weights_tied_by_hand_are_written_twice(safe: bool, tmp_path: Path) -> None:
    """The config says that they are two, so they are two again after loading, and not one memory."""
    model = small_model()
    model.head.weight = model.embedding.weight
    model.save_pretrained(tmp_path, safe_serialization=safe)
    back = Transformer.from_pretrained(tmp_path)
    assert torch.equal(back.head.weight, model.embedding.weight)
    assert back.head.weight.data_ptr() != back.embedding.weight.data_ptr()


@pytest.mark.parametrize("size", ["5 gigabytes", "", "GB", 0, -1, "0MB", "1e3"])
def test_a_size_that_is_none_is_refused(size: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_shard_size="):
        small_model().save_pretrained(tmp_path / "made", max_shard_size=size)
    assert not (tmp_path / "made").exists()


def test_a_model_without_weights_cannot_be_saved(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = Transformer(small_model().config)
    with pytest.raises(CheckpointError, match="meta device"):
        model.save_pretrained(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_what_the_official_format_cannot_say_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="activation"):
        small_model("chatglm", activation="gelu").save_pretrained(tmp_path / "made")
    with pytest.raises(InputError, match="float64"):
        small_model().double().save_pretrained(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="could not be written"):
        small_model().save_pretrained(tmp_path / "file")


def test_the_files_are_as_readable_as_any_other(saved: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert {path.stat().st_mode for path in saved().iterdir()} == {(tmp_path / "plain").stat().st_mode}
    assert not [name for name in os.listdir(saved()) if name.startswith(".")]


class Piece(torch.Tensor):
    """What a cut weight is to torch: a tensor of another class, as DTensor is."""


def test_a_part_of_a_model_is_not_saved_as_a_whole_one(tmp_path: Path) -> None:
    model = small_model("llama")
    model.embedding.weight = torch.nn.Parameter(model.embedding.weight.detach().as_subclass(Piece), requires_grad=False)
    with pytest.raises(CheckpointError, match=r"embedding\.weight is cut over several devices"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())
