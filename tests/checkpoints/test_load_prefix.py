"""load_prefix: what P-tuning v2 saved, put in front of a base model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import GOLDEN, same, small_model

from glm_edu import Transformer
from glm_edu.checkpoints import load_prefix
from glm_edu.errors import CheckpointError, CheckpointNotFoundError

PTUNED = ["chatglm1_ptuning_embed", "chatglm1_ptuning_proj", "chatglm2_ptuning", "chatglm2_ptuning_projection"]
STEM = "transformer.prefix_encoder."


def _apart(case: str, place: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """A golden P-tuning case taken apart: the directory of its base model, and its prefix."""
    base = Path(shutil.copytree(GOLDEN / case, place / "base"))
    tensors = load_file(base / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if STEM not in name}, base / "model.safetensors")
    config = json.loads((base / "config.json").read_text())
    config.pop("pre_seq_len"), config.pop("prefix_projection", None)
    (base / "config.json").write_text(json.dumps(config))
    return base, {name: t for name, t in tensors.items() if STEM in name}


@pytest.mark.parametrize("form", ["official .bin", "stripped", "safetensors", "directory"])
@pytest.mark.parametrize("case", PTUNED)
def test_base_and_prefix_together_are_the_whole(case: str, form: str, tmp_path: Path) -> None:
    base, prefix = _apart(case, tmp_path)
    path = tmp_path / ("pytorch_model.bin" if form != "safetensors" else "prefix.safetensors")
    if form == "safetensors":
        save_file(prefix, path)
    else:
        torch.save({n.removeprefix(STEM) if form == "stripped" else n: t for n, t in prefix.items()}, path)
    model = Transformer.from_pretrained(base)
    load_prefix(model, path.parent if form == "directory" else path)
    whole = Transformer.from_pretrained(GOLDEN / case)
    assert same(model, whole)
    io = load_file(GOLDEN / case / "io.safetensors")
    ids = next(tensor for name, tensor in sorted(io.items()) if name.startswith("in.") and name.endswith("input_ids"))
    with torch.no_grad():
        assert torch.equal(model(ids), whole(ids))
    model.save_pretrained(tmp_path / "both")
    assert same(Transformer.from_pretrained(tmp_path / "both"), whole)


def test_the_prefix_takes_the_model_s_dtype_and_mode(tmp_path: Path) -> None:
    base, prefix = _apart("chatglm2_ptuning_projection", tmp_path)
    save_file(prefix, tmp_path / "prefix.safetensors")
    model = Transformer.from_pretrained(base, dtype="bfloat16").train()
    load_prefix(model, tmp_path / "prefix.safetensors")
    assert model.prefix.training and {p.dtype for p in model.prefix.parameters()} == {torch.bfloat16}
    assert not model.eval().prefix.training


def test_a_second_prefix_takes_the_place_of_the_first(tmp_path: Path) -> None:
    model = Transformer.from_pretrained(GOLDEN / "chatglm2_ptuning_projection")
    save_file({"embedding.weight": torch.randn(3, 192)}, tmp_path / "prefix.safetensors")
    load_prefix(model, tmp_path / "prefix.safetensors")
    assert (model.config.prefix_length, model.config.prefix_projection) == (3, False)
    assert model.prefix.embedding.weight.shape == (3, 192)


def test_what_does_not_fit_is_listed_and_the_model_stays_as_it_was(tmp_path: Path) -> None:
    base, prefix = _apart("chatglm2_ptuning_projection", tmp_path)
    prefix[f"{STEM}trans.2.weight"] = torch.zeros(5, 64)
    del prefix[f"{STEM}trans.0.bias"]
    save_file(prefix | {"transformer.output_layer.weight": torch.zeros(1)}, tmp_path / "prefix.safetensors")
    model = Transformer.from_pretrained(base)
    with pytest.raises(CheckpointError) as caught:
        load_prefix(model, tmp_path / "prefix.safetensors")
    for says in (f"{STEM}trans.2.weight: shape [5, 64] in the file, [192, 64]", f"1 missing:\n  {STEM}trans.0.bias",
                 "1 extra:", "output_layer.weight"):  # fmt: skip
        assert says in str(caught.value)
    assert model.prefix is None and model.config.prefix_length == 0


@pytest.mark.parametrize(
    ("name", "shape"), [("weight", (2, 2)), ("embedding.weight", (4,)), ("embedding.weight", (0, 192))]
)
def test_a_file_without_a_prefix_is_refused(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    save_file({name: torch.zeros(shape)}, tmp_path / "prefix.safetensors")
    with pytest.raises(CheckpointError, match="holds no prefix"):
        load_prefix(small_model("chatglm2"), tmp_path / "prefix.safetensors")


def test_a_layout_without_a_prefix_is_refused(tmp_path: Path) -> None:
    save_file({"embedding.weight": torch.zeros(4, 2 * 2 * 2 * 16)}, tmp_path / "prefix.safetensors")
    with pytest.raises(CheckpointError, match="llama layout has no place for prefix"):
        load_prefix(small_model("llama"), tmp_path / "prefix.safetensors")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="There is no file or directory"):
        load_prefix(small_model("chatglm2"), tmp_path / "nowhere")
