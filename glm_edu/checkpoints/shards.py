"""A directory of weights as one mapping from official name to tensor, whether it is one file or many.

Looked for in this order: ``model.safetensors``, ``model.safetensors.index.json``, ``pytorch_model.bin``,
``pytorch_model.bin.index.json``. An index must agree with its shards to the letter. Its ``total_size`` is not looked
at: ChatGLM-6B's own is out of date.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from torch import Tensor

from glm_edu.checkpoints.files import open_file
from glm_edu.errors import CheckpointError, CheckpointNotFoundError

_LONGEST = 200  # letters of a file name; what a disk takes depends on their bytes
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def open_shards(directory: Path) -> dict[str, Tensor]:
    """Every tensor in the directory by its official name, mapped into memory.

    Raises:
        CheckpointNotFoundError: no weights, or a shard that the index names is absent (all of them are listed).
        CheckpointError: a broken shard or index, or the two disagree.
    """
    found = _file_or_index(directory)
    return _open_indexed(found) if found.suffix == ".json" else open_file(found)


def weight_files(directory: Path) -> list[Path]:
    """The files that hold the weights: one, or the shards that an index names. Errors as in ``open_shards``."""
    found = _file_or_index(directory)
    return [directory / name for name in _shards_of(found)] if found.suffix == ".json" else [found]


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        CheckpointNotFoundError: there is no such file.
        CheckpointError: it is not JSON; the message says where it breaks.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(f"There is no {path.name} in {path.parent}.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}. Fetch the file again.") from error


def _file_or_index(directory: Path) -> Path:
    """The one file of weights, or the index of its shards."""
    for name in WEIGHT_FILES:
        for path in (directory / name, directory / f"{name}.index.json"):
            if path.is_file():
                return path
    loose = sorted(p.name for kind in ("model-*.safetensors", "pytorch_model-*.bin") for p in directory.glob(kind))
    if loose:
        raise CheckpointNotFoundError(
            f"{directory} holds shards ({loose[0]}, ...) without their index. Fetch the .index.json that lists them."
        )
    raise CheckpointNotFoundError(
        f"{directory} holds no weights: expected {' or '.join(WEIGHT_FILES)}, or the .index.json of their shards."
    )


def _open_indexed(index: Path) -> dict[str, Tensor]:
    shards = _shards_of(index)
    tensors: dict[str, Tensor] = {}
    wrong = []
    for shard, promised in shards.items():
        held = open_file(index.parent / shard)
        wrong += [f"{name} is not in {shard}" for name in sorted(promised - held.keys())]
        wrong += [f"{name} is in {shard}, where the index does not place it" for name in sorted(held.keys() - promised)]
        tensors |= held
    if wrong:
        raise CheckpointError("\n  ".join([f"{index} does not fit its shards, as if they were of two models:", *wrong]))
    return tensors


def _shards_of(index: Path) -> dict[str, set[str]]:
    """Shard -> the names that it should hold, in the order of the shards' names. All are there."""
    content = read_json(index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} should hold an object with a weight_map: tensor name -> shard.")
    shards: dict[str, set[str]] = defaultdict(set)
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or shard in ("", ".", "..") or set(shard) & set("/\\\0") or len(shard) > _LONGEST:
            raise CheckpointError(f"{index} places {name} in {shard!r}. A shard is a file name, without a path.")
        shards[shard].add(name)
    if absent := [shard for shard in sorted(shards) if not (index.parent / shard).is_file()]:
        raise CheckpointNotFoundError(f"{index} names shards that are not beside it: {', '.join(absent)}. Fetch them.")
    return dict(sorted(shards.items()))
