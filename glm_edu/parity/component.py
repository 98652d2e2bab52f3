"""Component: a piece of the official code run alone, as stored in ``tests/golden/components``.

Each ``.json`` says what the piece shows, which code and revision made it, and what its ``.safetensors`` holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from glm_edu.parity.case import GOLDEN
from glm_edu.parity.ladder import Rung, compare_tensors

EXACT = (0.0, 0.0)


@dataclass(frozen=True)
class Component:
    """One stored piece: what the official code was given, and what it made of it."""

    name: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The ``.json``: what it shows, source, keys, tolerances."""
        return json.loads((GOLDEN / "components" / f"{self.name}.json").read_text(encoding="utf-8"))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The ``.safetensors``, names as the ``.json`` explains them."""
        return load_file(GOLDEN / "components" / f"{self.name}.safetensors")

    @property
    def weights(self) -> Path:
        """The directory of the case whose weights it borrows."""
        return GOLDEN / self.facts["weights"].split(",")[0]

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def tolerance(self, *keys: str) -> tuple[float, float]:
        """(atol, rtol) under these keys; where the file says "equal", both are 0."""
        found = self.facts["tolerances"]
        for key in keys:
            found = found[key]
        return EXACT if isinstance(found, str) else (found["atol"], found["rtol"])

    def rung(self, key: str, ours: Tensor, tolerance: tuple[float, float], official: Tensor | None = None) -> Rung:
        """Ours beside the official tensor stored under ``key``, or ``official`` where that follows from others."""
        name, theirs = key.removeprefix("in.").removeprefix("out."), self[key] if official is None else official
        return compare_tensors(f"components/{self.name}", "", name, ours, theirs, *tolerance)
