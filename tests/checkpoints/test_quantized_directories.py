"""Quantized directories: official ones are read, ours are written so, float ones are quantized while they are read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import LAYOUTS, same, small_model
from torch import Tensor

from glm_edu import KVCache, Transformer
from glm_edu.errors import CheckpointError, InputError
from glm_edu.parity import Case
from glm_edu.quantization import QuantizedLinear, quantize_, quantized

Saved = Callable[..., Path]
LINEARS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
CASES = ("chatglm1_gmask", "chatglm2_prefill", "chatglm2_mha")  # query, key, value per head; in blocks; per head


def _official(case: str, bits: int, target: Path) -> Path:
    """What the official code would save after ``model.quantize(bits)``: four linears a layer, fused as they are."""
    source = Case(case).directory
    tensors: dict[str, Tensor] = {}
    for name, tensor in load_file(source / "model.safetensors").items():
        if name.endswith(tuple(f"{linear}.weight" for linear in LINEARS)):
            tensors[name], tensors[f"{name}_scale"] = quantized(tensor, bits)
        else:
            tensors[name] = tensor
    target.mkdir(exist_ok=True)
    save_file(tensors, target / "model.safetensors")
    config = json.loads((source / "config.json").read_text()) | {"quantization_bit": bits}
    (target / "config.json").write_text(json.dumps(config))
    return target


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("case", CASES)
def test_an_official_directory_is_read_as_it_is(case: str, bits: int, tmp_path: Path) -> None:
    """A row and its scale go the same way, so quantizing before the fused matrix is split, or after, is the same."""
    directory = _official(case, bits, tmp_path)
    read = Transformer.from_pretrained(directory)
    assert read.config.quantization_bits == bits
    assert same(read, Transformer.from_pretrained(Case(case).directory, quantize=f"int{bits}"))
    read.save_pretrained(tmp_path / "again")
    first, again = (load_file(place / "model.safetensors") for place in (directory, tmp_path / "again"))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) and first[name].dtype == again[name].dtype for name in first)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("quantize", ["int8", "int4"])
def test_any_layout_is_quantized_while_read_saved_and_read_back(
    kind: str, quantize: str, saved: Saved, tmp_path: Path
) -> None:
    model = Transformer.from_pretrained(saved(kind), dtype="float16", quantize=quantize)
    whole = Transformer.from_pretrained(saved(kind), dtype="float16")
    assert same(model, quantize_(whole, int(quantize[3:])))
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert same(model, Transformer.from_pretrained(tmp_path))


@pytest.mark.parametrize("safe_serialization", [True, False])
def test_a_model_that_has_decoded_is_saved_in_the_official_order(safe_serialization: bool, tmp_path: Path) -> None:
    """Decoding moves int4 numbers into the order of PyTorch's kernel; nothing of that may reach a file."""
    model = quantize_(small_model("llama", feedforward_size=64), 4)
    model.save_pretrained(tmp_path / "before", safe_serialization=safe_serialization)
    with torch.no_grad():
        model(torch.tensor([[5]]), cache=KVCache())
    assert any(layer.weight.dtype == torch.uint8 for layer in model.modules() if isinstance(layer, QuantizedLinear))
    model.save_pretrained(tmp_path / "after", safe_serialization=safe_serialization)
    assert same(*(Transformer.from_pretrained(tmp_path / name) for name in ("before", "after")))


def test_a_config_that_speaks_of_bits_does_not_make_floats_int4(tmp_path: Path) -> None:
    """What is written is what the weights are, whatever the config of the model says."""
    model = small_model("chatglm2", quantization_bits=4)
    model.save_pretrained(tmp_path)
    read = Transformer.from_pretrained(tmp_path)
    assert read.config.quantization_bits == 0
    assert all(torch.equal(tensor, read.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_quantizing_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is int4 already"):
        Transformer.from_pretrained(_official("chatglm2_prefill", 4, tmp_path), quantize="int8")


@pytest.mark.parametrize(
    "change, said",
    [(lambda t, w: t.pop(f"{w}_scale"), ["1 missing:", "weight_scale"]),
     (lambda t, w: t.update({f"{w}_scale": t[f"{w}_scale"].to(torch.int8)}), ["scale: torch.int8", "floating-point"]),
     (lambda t, w: t.update({f"{w}_scale": t[f"{w}_scale"][1:].clone()}), ["weight_scale: shape"]),
     (lambda t, w: t.update({w: t[w].half()}), ["weight: torch.float16", "expected int8"]),
     (lambda t, w: t.update({w: t[w].to(torch.uint8)}), ["weight: torch.uint8", "expected int8"]),
     (lambda t, w: t.update({w: torch.cat([t[w], t[w]], 1)}), ["weight: shape"]),
     (lambda t, w: t.update({"extra.weight_scale": torch.ones(1)}), ["1 extra:", "extra.weight_scale"])],
)  # fmt: skip
def test_every_tensor_is_accounted_for(
    change: Callable[[dict[str, Tensor], str], None], said: list[str], tmp_path: Path
) -> None:
    directory = _official("chatglm2_prefill", 4, tmp_path)
    tensors = load_file(directory / "model.safetensors")
    change(tensors, "transformer.encoder.layers.1.mlp.dense_h_to_4h.weight")
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        Transformer.from_pretrained(directory)
    assert all(word in str(caught.value) for word in said)


@pytest.mark.parametrize("bits, hint", [(8, "shape"), (0, "config.json should say quantization_bit")])
def test_a_config_of_other_bits_does_not_fit(bits: int, hint: str, tmp_path: Path) -> None:
    directory = _official("chatglm1_gmask", 4, tmp_path)
    config = json.loads((directory / "config.json").read_text()) | {"quantization_bit": bits}
    (directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=hint):
        Transformer.from_pretrained(directory)


def test_float_weights_under_a_quantized_config_say_so(saved: Saved, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(saved("chatglm2"), tmp_path / "model"))
    config = json.loads((directory / "config.json").read_text()) | {"quantization_bit": 8}
    (directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"need no quantization_bit: remove it"):
        Transformer.from_pretrained(directory)


def test_weights_that_are_no_numbers_cannot_be_quantized(saved: Saved, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(saved("llama"), tmp_path / "model"))
    tensors = load_file(directory / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.weight"][0, 0] = torch.nan
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"blocks\.1\.feedforward\.down\.weight: NaN"):
        Transformer.from_pretrained(directory, quantize="int8")
