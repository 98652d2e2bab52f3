"""from_pretrained: dtype, device, what is copied and what is not, and the progress bar."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import GOLDEN, LAYOUTS, same, small_model

from glm_edu import Transformer
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, InputError

Saved = Callable[..., Path]


def _config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


# dtype


@pytest.mark.parametrize("dtype", [torch.float16, "float16", "bfloat16", torch.float32])
def test_the_dtype_asked_for_is_that_of_every_weight(saved: Saved, dtype: Any) -> None:
    model = Transformer.from_pretrained(saved("chatglm"), dtype=dtype)
    name = str(dtype).removeprefix("torch.")
    assert model.config.dtype == name
    for key, tensor in small_model("chatglm").state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor.to(getattr(torch, name)))


@pytest.mark.parametrize("key", ["torch_dtype", "dtype"])
def test_the_dtype_of_the_config_is_taken_else(broken: Saved, key: str) -> None:
    directory = broken()
    _config(directory, torch_dtype=..., **({"dtype": "bfloat16"} if key == "dtype" else {}))
    if key == "torch_dtype":
        _config(directory, torch_dtype="float16")
    expected = torch.bfloat16 if key == "dtype" else torch.float16
    assert {p.dtype for p in Transformer.from_pretrained(directory).parameters()} == {expected}


def test_the_dtype_of_the_embedding_is_taken_last(broken: Saved) -> None:
    """ChatGLM-6B's files hold LayerNorms in float32 beside float16 linears; one dtype comes of it."""
    directory = broken("chatglm")
    _config(directory, torch_dtype=...)
    tensors = load_file(directory / "model.safetensors")
    mixed = {name: tensor if "layernorm" in name else tensor.half() for name, tensor in tensors.items()}
    save_file(mixed, directory / "model.safetensors")
    model = Transformer.from_pretrained(directory)
    assert model.config.dtype == "float16" and {p.dtype for p in model.parameters()} == {torch.float16}


@pytest.mark.parametrize("dtype", [torch.float64, "float8", "int8", torch.int8])
def test_another_dtype_is_refused(saved: Saved, dtype: Any) -> None:
    with pytest.raises(InputError, match="float32 or"):
        Transformer.from_pretrained(saved(), dtype=dtype)


# device, revision, quantize: refused before anything is read


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", torch.device("cuda"), "meta", "gpu", "cpu:1"])
def test_a_device_that_is_not_there_is_refused_before_reading(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"device='?{device}"):
        Transformer.from_pretrained("no/such/directory", device=device)


def test_cuda_1_needs_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="'cuda:1' is not there: this PyTorch finds 1 cpu and 1 cuda"):
        Transformer.from_pretrained("no/such/directory", device="cuda:1")


def test_an_unknown_quantization_is_refused_before_reading() -> None:
    with pytest.raises(InputError, match="quantize='int3' is not known; it may be 'int8' or 'int4'"):
        Transformer.from_pretrained("no/such/directory", quantize="int3")


def test_a_revision_of_a_local_directory_is_refused(saved: Saved) -> None:
    with pytest.raises(InputError, match="revision='main' is for a hub id"):
        Transformer.from_pretrained(saved(), revision="main")


# what is read, and how


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_model_is_ready_to_use_and_to_train(saved: Saved, kind: str) -> None:
    model = Transformer.from_pretrained(str(saved(kind)))
    assert not model.training
    assert all(p.requires_grad and p.is_leaf and p.is_contiguous() and not p.is_meta for p in model.parameters())
    assert not list(model.buffers()), "nothing stays behind on the meta device"
    ids = torch.tensor([[5, 9, model.config.gmask_id or 1, model.config.bos_id or 1]]) % 40
    if kind == "chatglm":
        return
    model(ids).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def _mapped(model: Transformer, file: str) -> set[str]:
    """The parameters whose bytes lie in a mapping of ``file``."""
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(file)]
    places = [tuple(int(end, 16) for end in fields[0].split("-")) for fields in maps]
    return {n for n, p in model.named_parameters() if any(a <= p.data_ptr() < b for a, b in places)}


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_only_interleaved_rows_are_copied(saved: Saved, kind: str, safe: bool) -> None:
    directory = saved(kind, safe_serialization=safe)
    model = Transformer.from_pretrained(directory)
    copied = {n for n, _ in model.named_parameters()} - _mapped(model, str(next(directory.glob("*model.*"))))
    interleaved = model.config.fused_rows == "per_head"
    parts = ("query", "key", "value") if interleaved else ()
    assert copied == {n for n, _ in model.named_parameters() if n.split(".")[-2] in parts}


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
def test_training_does_not_write_to_the_file(saved: Saved, safe: bool) -> None:
    directory = saved(safe_serialization=safe)
    file = next(directory.glob("*model.*"))
    before = file.read_bytes()
    model = Transformer.from_pretrained(directory)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert file.read_bytes() == before
    assert same(Transformer.from_pretrained(directory), small_model())


def test_a_bin_file_of_the_old_format_is_read(broken: Saved) -> None:
    directory = broken("chatglm2", safe_serialization=False)
    path = directory / "pytorch_model.bin"
    torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)
    assert path.read_bytes()[:2] != b"PK"
    assert same(Transformer.from_pretrained(directory), small_model("chatglm2"))


def test_a_bin_file_of_parameters_and_odd_strides_is_read(broken: Saved) -> None:
    directory = broken(safe_serialization=False)
    tensors = torch.load(directory / "pytorch_model.bin")
    odd = {name: torch.nn.Parameter(t.T.contiguous().T if t.ndim == 2 else t) for name, t in tensors.items()}
    torch.save(odd, directory / "pytorch_model.bin")
    model = Transformer.from_pretrained(directory)
    assert same(model, small_model()) and all(p.is_contiguous() for p in model.parameters())


def test_safetensors_are_preferred(broken: Saved) -> None:
    directory = broken()
    (directory / "pytorch_model.bin").write_bytes(b"not looked at")
    assert same(Transformer.from_pretrained(directory), small_model())


def test_shards_may_be_links_as_in_the_cache_of_the_hub(saved: Saved, tmp_path: Path) -> None:
    for path in saved(max_shard_size="60KB").iterdir():
        (tmp_path / path.name).symlink_to(path)
    assert same(Transformer.from_pretrained(tmp_path), small_model())


def test_inverse_frequencies_of_the_file_are_not_read(broken: Saved) -> None:
    for kind, name in (("chatglm", "transformer.layers.{}.attention.rotary_emb.inv_freq"),
                       ("llama", "model.layers.{}.self_attn.rotary_emb.inv_freq")):  # fmt: skip
        directory = broken(kind)
        tensors = load_file(directory / "model.safetensors")
        tensors |= {name.format(i): torch.full((3,), float("nan")) for i in range(2)}
        save_file(tensors, directory / "model.safetensors")
        assert same(Transformer.from_pretrained(directory), small_model(kind))
        shutil.rmtree(directory)


def test_a_vocabulary_may_be_any_size(tmp_path: Path) -> None:
    """The first era of ChatGLM-6B has 20000 more rows; the config says so, and that is all."""
    model = small_model("chatglm", vocab_size=97)
    model.save_pretrained(tmp_path)
    assert same(Transformer.from_pretrained(tmp_path), model)


# the progress bar


def test_a_quick_load_prints_nothing(saved: Saved, capfd: pytest.CaptureFixture[str]) -> None:
    Transformer.from_pretrained(saved())
    assert capfd.readouterr() == ("", "")


def test_a_slow_load_shows_its_progress_on_stderr(
    saved: Saved, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tqdm.std

    clock = iter(range(10**6))
    monkeypatch.setattr(tqdm.std, "time", lambda: float(next(clock)))  # each look at the clock is a second later
    Transformer.from_pretrained(saved())
    out, err = capfd.readouterr()
    assert out == "" and "loading" in err and "tensor" in err


def test_the_functions_are_public() -> None:
    from glm_edu import checkpoints

    model = checkpoints.from_pretrained(GOLDEN / "llama_gqa")
    assert isinstance(model, Transformer) and issubclass(CheckpointNotFoundError, CheckpointError)
