"""What a caller may ask for, checked before anything is read: a dtype, a device, a size of shards."""

from __future__ import annotations

import re
from typing import Literal, cast

import torch

from glm_edu.errors import InputError
from glm_edu.model.rotary import DTYPES

DtypeName = Literal["float32", "float16", "bfloat16"]
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def dtype_name(dtype: torch.dtype | str) -> DtypeName:
    """The name of a dtype that a model can have.

    Raises:
        InputError: another dtype.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise InputError(f"dtype={name!r} is not supported; it may be {' or '.join(DTYPES)}.")
    return cast(DtypeName, name)


def check_device(device: str | torch.device) -> torch.device:
    """A device that this computer has.

    Raises:
        InputError: an unknown or absent device; the message lists those that are there.
    """
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device={device!r} is unknown; it may be 'cpu', 'cuda', 'cuda:1' or 'mps'.") from error
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (wanted.index or 0) >= counts.get(wanted.type, 0):
        there = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        raise InputError(f"device={str(wanted)!r} is not there: this PyTorch finds {there}. Pass device='cpu'.")
    return wanted


def size_in_bytes(size: int | str) -> int:
    """A size such as 5_000_000_000 or "5GB" (KB, MB, GB: powers of a thousand) in bytes.

    Raises:
        InputError: anything else, or less than one byte.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMG]B)?", str(size).strip(), flags=re.IGNORECASE)
    count = int(float(match[1]) * _UNITS.get((match[2] or "").upper(), 1)) if match else 0
    if count < 1:
        raise InputError(f"max_shard_size={size!r} should be a number of bytes, or a size such as '5GB' or '200MB'.")
    return count
