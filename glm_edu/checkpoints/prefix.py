"""load_prefix and save_prefix: what P-tuning v2 trained, apart from the base model that it stands in front of.

The official training script saves the prefix encoder alone, so the base model and the prefix come from two places.

Official: ptuning/main.py of ChatGLM-6B and ChatGLM2-6B, which strips ``transformer.prefix_encoder.`` from the names.
Differs: the length and the kind of the prefix follow from its tensors instead of two command-line arguments.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch

from glm_edu.checkpoints.checks import check_names_and_shapes
from glm_edu.checkpoints.files import open_file
from glm_edu.checkpoints.fuse import official_entries
from glm_edu.checkpoints.layout import official_tensors
from glm_edu.checkpoints.load import fill
from glm_edu.checkpoints.shards import open_shards
from glm_edu.checkpoints.write import write_bin, write_safetensors
from glm_edu.errors import CheckpointError, CheckpointNotFoundError
from glm_edu.model.prefix import PrefixEncoder
from glm_edu.model.transformer import Transformer

_STEM = "transformer.prefix_encoder."


def load_prefix(model: Transformer, path: str | PathLike[str]) -> None:
    """Give ``model`` the P-tuning v2 prefix of a file or directory, in place of any that it has.

    ``model.config`` then names the prefix, so ``save_pretrained`` writes both. In the file, names may begin with
    ``transformer.prefix_encoder.`` or with what follows it. The weights take the model's dtype and device.

    Raises:
        CheckpointNotFoundError: there is nothing at ``path``.
        CheckpointError: no prefix in the file, tensors that do not fit the model, or a model without a place for one.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise CheckpointNotFoundError(f"There is no file or directory {place}.")
    tensors = open_file(place) if place.is_file() else open_shards(place)
    found = {_STEM + name.removeprefix(_STEM): tensor for name, tensor in tensors.items()}
    table = found.get(f"{_STEM}embedding.weight")
    if table is None or table.ndim != 2 or not table.numel():
        raise CheckpointError(f"{place} holds no prefix: expected {_STEM}embedding.weight, a row for each position.")
    config = replace(model.config, prefix_length=table.shape[0], prefix_projection=f"{_STEM}trans.0.weight" in found)
    with torch.device("meta"):
        prefix = PrefixEncoder(config)
    holder = torch.nn.ModuleDict({"prefix": prefix})  # so that its names begin with "prefix." as in the whole model
    expected = official_tensors(config, {name: tensor.shape for name, tensor in holder.state_dict().items()})
    check_names_and_shapes(expected, found, ())
    weight = model.embedding.weight
    fill(holder, expected, found, weight.device, weight.dtype)
    model.prefix, model.config = prefix.train(model.training), config


def save_prefix(model: Transformer, path: str | PathLike[str]) -> Path:
    """Write the prefix of ``model`` alone, under its official names; ``load_prefix`` and the official code read it.

    Args:
        path: a file; ``.bin`` writes the format of the official script, anything else safetensors.

    Returns:
        The file.

    Raises:
        CheckpointError: the model has no prefix, or the file cannot be written.
    """
    if model.prefix is None:
        raise CheckpointError("This model has no prefix to save. load_prefix gives it one, training too.")
    file = Path(path).expanduser()
    entries = [entry for entry in official_entries(model, model.config) if entry.name.startswith(_STEM)]
    write, made = write_bin if file.suffix == ".bin" else write_safetensors, file.with_name(f".saving-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(made, entries)
        os.replace(made, file)
    except (OSError, RuntimeError) as error:  # torch.save says RuntimeError where it cannot write
        with suppress(OSError):
            made.unlink(missing_ok=True)
        raise CheckpointError(f"{file} could not be written: {error}. Free space or take another.") from error
    return file
