"""What goes over the wire, counted where PyTorch sends it.

An all-reduce of a tensor counts as its bytes, an all-gather as the bytes of what comes out. What a link carries follows
from the algorithm: in a ring of R ranks each sends 2 (R-1)/R of an all-reduce, and (R-1)/R of an all-gather.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_NAMES = {"all_reduce": "all-reduce", "all_gather_into_tensor": "all-gather"}


class count_sent(TorchDispatchMode):  # lower case, because it reads as a verb: with count_sent() as sent
    """Count the bytes of every collective inside the ``with`` block: ``sent.bytes["all-reduce"]``, ``sent.calls``."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        namespace, _, name = func._schema.name.partition("::")
        if namespace == "_c10d_functional" and isinstance(out, torch.Tensor) and name in _NAMES:
            self.bytes[_NAMES[name]] += out.nbytes
            self.calls[_NAMES[name]] += 1
        return out
