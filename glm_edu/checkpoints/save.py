"""save_pretrained: a Transformer becomes an official directory again, with official names and fused tensors.

Everything is written to a hidden directory inside the target and moved up when it is whole. So a model may be saved
over the directory that its weights are mapped from, and a full disk leaves the old files as they were.

Official: ``PreTrainedModel.save_pretrained`` of transformers.
Differs: weights of an earlier save are removed whatever their format: a loader could take them for the new ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glm_edu.checkpoints.arguments import dtype_name, size_in_bytes
from glm_edu.checkpoints.fuse import official_entries
from glm_edu.checkpoints.shards import WEIGHT_FILES
from glm_edu.checkpoints.write import Entry, write_bin, write_safetensors
from glm_edu.errors import CheckpointError
from glm_edu.model.transformer import Transformer
from glm_edu.quantization.model import bits_of


def save_pretrained(
    model: Transformer, path: str | PathLike[str], max_shard_size: str | int = "5GB", safe_serialization: bool = True
) -> None:
    """Write weights and ``config.json`` so that ``from_pretrained`` and the official code read them back bit for bit.

    Args:
        path: the directory; made if it is not there. Other files in it (a tokenizer's) stay.
        max_shard_size: bytes, or a size such as "200MB"; a model that is larger is split, with an index.
        safe_serialization: safetensors; False writes pytorch ``.bin`` files.

    Raises:
        ConfigError: the config has a choice that the official format cannot say.
        CheckpointError: the model has no weights (meta device), or the directory cannot be written.
    """
    directory, limit = Path(path).expanduser(), size_in_bytes(max_shard_size)
    config = replace(model.config, dtype=dtype_name(model.embedding.weight.dtype), quantization_bits=bits_of(model))
    official = config.to_official()
    shards = _split(official_entries(model, config), limit)
    whole, write = (WEIGHT_FILES[0], write_safetensors) if safe_serialization else (WEIGHT_FILES[1], write_bin)
    files = {_shard_name(whole, number, len(shards)): shard for number, shard in enumerate(shards, start=1)}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=directory, prefix=".saving-") as made:
            for name, shard in files.items():
                write(Path(made, name), shard)
            if len(files) > 1:
                _write_json(Path(made, f"{whole}.index.json"), _index(files))
            _write_json(Path(made, "config.json"), official)
            _move_in(Path(made), directory)
    except OSError as error:
        raise CheckpointError(f"{directory} could not be written: {error}. Free space or take another.") from error


def _split(entries: list[Entry], limit: int) -> list[list[Entry]]:
    """Shards of at most ``limit`` bytes; a tensor that is larger has one to itself."""
    shards: list[list[Entry]] = [[]]
    for entry in entries:
        if shards[-1] and sum(e.nbytes for e in shards[-1]) + entry.nbytes > limit:
            shards.append([])
        shards[-1].append(entry)
    return shards


def _shard_name(whole: str, number: int, count: int) -> str:
    stem, _, kind = whole.rpartition(".")
    return whole if count == 1 else f"{stem}-{number:05d}-of-{count:05d}.{kind}"


def _index(files: Mapping[str, list[Entry]]) -> dict[str, Any]:
    total = sum(entry.nbytes for shard in files.values() for entry in shard)
    weight_map = {entry.name: name for name, shard in files.items() for entry in shard}
    return {"metadata": {"total_size": total}, "weight_map": weight_map}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _move_in(made: Path, directory: Path) -> None:
    """Put the new files in place of the old ones, then remove old weights that have no successor."""
    new = {path.name for path in made.iterdir()}
    for name in sorted(new):
        os.replace(made / name, directory / name)
    for whole in WEIGHT_FILES:
        stem, _, kind = whole.rpartition(".")
        for old in (*directory.glob(f"{stem}-*-of-*.{kind}"), directory / whole, directory / f"{whole}.index.json"):
            if old.name not in new:
                old.unlink(missing_ok=True)
