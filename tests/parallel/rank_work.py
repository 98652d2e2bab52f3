"""What the tests let each rank do. Ranks import this file afresh, so it needs no test library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from glm_edu import Transformer
from glm_edu.parallel import generate_rows, report

Prompt = tuple[Tensor, Tensor]  # ids, keep mask


def all_families(cases: dict[str, tuple[Path, Prompt]], new: int, shared_out: str) -> dict[str, Any]:
    """The report of every case; and one whole model on each rank, that writes its share of a batch."""
    reports: dict[str, Any] = {}
    for name, (directory, (ids, keep)) in cases.items():
        reports[name] = report(directory, ids, new, attention_mask=keep)
    directory, (ids, keep) = cases[shared_out]
    rows = generate_rows(Transformer.from_pretrained(directory), ids, keep, max_new_tokens=new)
    return {"reports": reports, "rows": rows}


def fail_on_the_second() -> None:
    """The first rank waits for a sum to which the second never contributes."""
    if dist.get_rank() == 1:
        raise ValueError("the second rank has no memory left")
    dist.all_reduce(torch.ones(1))
