"""Cases: official outputs on tiny random weights, stored in ``tests/golden`` (its README says how they were made)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from glm_edu.errors import CheckpointNotFoundError

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"


def case_names() -> list[str]:
    """Every stored case, sorted.

    Raises:
        CheckpointNotFoundError: the package was installed without the repository that holds the cases.
    """
    if not GOLDEN.is_dir():
        raise CheckpointNotFoundError(
            f"{GOLDEN} is not there. The official outputs come with the repository: install it with "
            "'pip install -e .' from a clone, and the proof finds them."
        )
    return sorted(p.parent.name for p in GOLDEN.glob("*/case.json"))


@dataclass(frozen=True)
class Run:
    """One official call: which inputs it was given, and what came out.

    ``inputs`` and ``outputs`` map ``input_ids`` or ``blocks.0.output`` to tensors, batch first.
    """

    name: str
    what: str
    passes: tuple[str, ...]
    continues: str | None
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """One tiny official model and its runs."""

    name: str

    @property
    def directory(self) -> Path:
        """The checkpoint, in the official layout.

        Raises:
            CheckpointNotFoundError: there is no such case; the message lists them.
        """
        if self.name not in case_names():
            raise CheckpointNotFoundError(f"There is no case {self.name!r}. There are: {', '.join(case_names())}.")
        return GOLDEN / self.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """``case.json``: what it shows, source, tolerances, known mistakes."""
        return json.loads((self.directory / "case.json").read_text(encoding="utf-8"))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Everything in ``io.safetensors``."""
        return load_file(self.directory / "io.safetensors")

    @property
    def revision(self) -> str:
        """Repository and revision of the code that made the outputs."""
        source = self.facts["source"]
        return f"{source['repo'].split(' (')[0].split(',')[-1].strip()} @ {source['revision']}"

    @cached_property
    def runs(self) -> list[Run]:
        """The runs, in the order in which they were made."""
        return [self._run(r) for r in self.facts["runs"]]

    def _run(self, facts: dict[str, Any]) -> Run:
        prefixes = {r["prefix"] for r in self.facts["runs"]} - {""}

        def side(which: str) -> dict[str, Tensor]:
            head = f"{which}.{facts['prefix']}." if facts["prefix"] else f"{which}."
            named = {k.removeprefix(head): t for k, t in self.tensors.items() if k.startswith(head)}
            others = () if facts["prefix"] else tuple(f"{prefix}." for prefix in prefixes)
            return {k: t for k, t in named.items() if not k.startswith(others)}

        passes, continues = tuple(facts["passes"]), facts.get("continues_cache_of")
        return Run(facts["prefix"], facts["what"], passes, continues, side("in"), side("out"))

    def tolerance(self, tensor: str) -> tuple[float, float]:
        """(atol, rtol) for a recorded tensor's name; the reasons are in ``facts['tolerances']``."""
        families = self.facts["tolerances"]["families"]
        if tensor in ("position_ids", "mask", "embedding"):
            return 0.0, 0.0  # counted or looked up, never computed
        kind = {"loss": "logits"}.get(tensor, tensor)
        kind = "attention.probs" if tensor.endswith("probs") else kind if kind in families else "blocks.output"
        return families[kind]["atol"], families[kind]["rtol"]
