"""One file of weights as tensors mapped into memory: nothing is read until it is used, nothing is copied.

The mapping is private: writing to a tensor changes memory, never the file.

Formats: safetensors (an 8-byte length, a JSON header, bytes); pytorch ``.bin`` (a zip of a pickle and bytes; before
PyTorch 1.6 a pickle with bytes after it). A pickle is a program; ``weights_only=True`` runs none of its calls but those
that rebuild a tensor.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from glm_edu.errors import CheckpointError

_AGAIN = "The download was probably cut: fetch the file again, or compare its sha256 with the publisher's."


def say_bytes(count: float) -> str:
    """``count`` bytes in words: 1.9 GB."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def open_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` or ``.bin`` file by name, on the CPU, mapped into memory.

    Raises:
        CheckpointError: the file cannot be read, is cut, broken, no file of weights, or wants to run code.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(40)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if magic.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights. Run `git lfs pull`, or download it.")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    return _pickled(path, zipped=magic.startswith(b"PK\x03\x04"))


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        size, promised = path.stat().st_size, _promised(path)
        if size < promised:
            raise CheckpointError(
                f"{path} ends after {say_bytes(size)} of the {say_bytes(promised)} that its header promises. {_AGAIN}"
            ) from error
        raise CheckpointError(f"{path} is no safetensors file: {error}. {_AGAIN}") from error


def _promised(path: Path) -> int:
    """The size in bytes that a safetensors file gives itself; 0 where the header says nothing."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, 100_000_000)))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return 8 + length + max(ends)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return 0


def _pickled(path: Path, *, zipped: bool) -> dict[str, Tensor]:
    try:
        if zipped:
            _check_entries(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)  # only a zip can be mapped
    except Exception as error:  # a broken pickle can fail anywhere
        if wanted := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} is a pickle that calls {wanted[1]}, so opening it would run code. It is refused: "
                "weights need no code. Get the weights as safetensors from a publisher whom you trust."
            ) from error
        reason = str(error).partition("\n")[0].partition(". ")[0] or "it ends too early"
        raise CheckpointError(f"{path} is no pytorch file of weights, or a part of one ({reason}). {_AGAIN}") from error
    tensors = _only_tensors(path, content)
    if zipped:
        _check_lengths(path, tensors)
    return tensors


def _check_entries(path: Path) -> None:
    """Raise BadZipFile where an entry is not what the table at the file's end says; a mapping would read past it."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            archive.open(entry).close()  # compares the two headers of an entry
            if entry.compress_type != zipfile.ZIP_STORED:
                raise zipfile.BadZipFile(f"{entry.filename} is compressed")


def _check_lengths(path: Path, tensors: dict[str, Tensor]) -> None:
    """Raise CheckpointError where tensors take more bytes than their entries have: they would read the next one's."""
    plain = [tensor.untyped_storage() for tensor in tensors.values() if tensor.layout == torch.strided]
    taken = sum({storage.data_ptr(): storage.nbytes() for storage in plain}.values())
    with zipfile.ZipFile(path) as archive:
        held = sum(e.file_size for e in archive.infolist() if e.filename.split("/")[-2:-1] == ["data"])
    if taken > held:
        raise CheckpointError(f"{path}: its tensors take {taken} bytes, and its entries hold {held}. {_AGAIN}")


def _only_tensors(path: Path, content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected tensors by name.")
    others = [f"{key} ({type(value).__name__})" for key, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise CheckpointError(
            f"{path} holds more than tensors: {', '.join(others)}. Expected tensors by name; "
            "a training checkpoint keeps them one level deeper: save that level alone."
        )
    return {str(name): tensor.detach() for name, tensor in content.items()}
