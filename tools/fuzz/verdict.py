"""What must come of a directory: exactly what its files now say, or one of the package's errors that names the thing.

The files are read a second time by other means: safetensors by its own bytes, ``.bin`` by torch alone.
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import torch
from torch import Tensor

from glm_edu import GLMError, Transformer, load_tokenizer
from glm_edu.checkpoints.fuse import official_entries
from glm_edu.errors import InputError

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I8": torch.int8}
TEXTS = ("a b moon", "月色", " ", "<s> \n\t 12")


class Wrong(Exception):
    """The loader did neither."""


def verdict(directory: Path) -> str:
    """``loads``, or ``refused`` with the kind of error.

    Raises:
        Wrong: it loads something else than the files say, or the error does not name a file.
    """
    names = [path.name for path in directory.iterdir()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _words(directory) if directory.name.startswith("words") else _weights(directory)
    except GLMError as error:
        said = str(error)
        if not any(name in said for name in [*names, "config.json", str(directory)]) or len(said) > 20_000:
            raise Wrong(f"{type(error).__name__} names no file: {said[:300]}") from error
        return f"refused: {type(error).__name__}"
    return "loads"


def _words(directory: Path) -> None:
    tokenizer = load_tokenizer(directory)
    for text in TEXTS:
        try:
            ids = tokenizer.encode(text)
        except InputError:  # a text of other characters; that is not about the files
            continue
        if not all(0 <= i < tokenizer.vocab_size for i in ids):
            raise Wrong(f"{text!r} becomes {ids}, and the vocabulary has {tokenizer.vocab_size}")
        tokenizer.decode(ids)


def _weights(directory: Path) -> None:
    model = Transformer.from_pretrained(directory)
    said = {name: tensor for path in weight_files(directory) for name, tensor in read(path).items()}
    for entry in official_entries(model, model.config):
        if "inv_freq" not in entry.name and not same_bits(entry.make(), said.pop(entry.name).to(entry.dtype)):
            raise Wrong(f"{entry.name} is not what the file says")
    if left := [name for name in said if "inv_freq" not in name and not (model.head is None and "head" in name)]:
        raise Wrong(f"not loaded, and not said: {left}")


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal shapes and equal bits, NaN included."""
    return a.shape == b.shape and torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))


def weight_files(directory: Path) -> list[Path]:
    """The files that count, by the order of the loader's documentation."""
    for whole in ("model.safetensors", "pytorch_model.bin"):
        if (directory / whole).is_file():
            return [directory / whole]
        if (directory / f"{whole}.index.json").is_file():
            index = json.loads((directory / f"{whole}.index.json").read_text(encoding="utf-8"))
            return [directory / name for name in sorted(set(index["weight_map"].values()))]
    return []


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, read without the package."""
    if path.suffix != ".safetensors":
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    return {name: _tensor(entry, content[8 + length :]) for name, entry in header.items()}


def _tensor(entry: dict[str, object], data: bytes) -> Tensor:
    dtype, shape, (start, end) = DTYPES[str(entry["dtype"])], entry["shape"], entry["data_offsets"]
    if end - start != math.prod(shape) * dtype.itemsize or end > len(data):
        raise Wrong(f"{entry} should have been refused")
    return torch.frombuffer(bytearray(data[start:end]), dtype=dtype).view(shape)
