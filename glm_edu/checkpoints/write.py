"""One file of weights, written tensor by tensor, so that saving needs no second copy of them.

Format: safetensors is the length of a header (8 bytes, little-endian), the header (JSON: name -> dtype, shape, place)
padded with blanks to a multiple of 8, and the tensors' bytes in that order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int8: "I8"}


@dataclass(frozen=True)
class Entry:
    """A tensor that ``make`` puts together when its turn comes."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Tensor]

    @property
    def nbytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def write_safetensors(path: Path, entries: list[Entry]) -> None:
    """Write a ``.safetensors`` file; in memory there is one tensor at a time."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for entry in entries:
        place = [end, end := end + entry.nbytes]
        header[entry.name] = {"dtype": _NAMES[entry.dtype], "shape": list(entry.shape), "data_offsets": place}
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for entry in entries:
            entry.make().contiguous().flatten().view(torch.uint8).numpy().tofile(file)


def write_bin(path: Path, entries: list[Entry]) -> None:
    """Write a pytorch ``.bin`` file. Tensors are cloned: a view would be saved with all that it is a view of."""
    torch.save({entry.name: entry.make().clone(memory_format=torch.contiguous_format) for entry in entries}, path)
