"""A recording of the user's: what some code put out for some weights, in the form of the stored cases.

An ``io.safetensors`` with ``in.input_ids`` and what was recorded under ``out.``; a ``case.json`` beside it is optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from glm_edu.checkpoints.files import open_file
from glm_edu.checkpoints.shards import read_json
from glm_edu.errors import CheckpointError, CheckpointNotFoundError
from glm_edu.parity.case import Case
from glm_edu.parity.ladder import Ladder, our_name

TOLERANCE = 1e-4  # of a float32 recording of a large model, where nothing else is said
_EXPECTED = (
    "Expected: the prompt, in.input_ids, whole numbers of [batch, seq]; and what was recorded, out.logits, "
    "out.blocks.0.output and so on (glm-edu parity --help)."
)
INPUTS = ("input_ids", "attention_mask", "position_ids")


@dataclass(frozen=True)
class Recording(Case):
    """A case outside of ``tests/golden``.

    ``atol`` and ``rtol``, where given, hold for every tensor that is computed; else ``case.json`` says, or 1e-4 does.
    """

    file: Path
    device: str = "cpu"
    atol: float | None = None
    rtol: float | None = None

    @property
    def directory(self) -> Path:
        return self.file.parent

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Everything in the file.

        Raises:
            CheckpointNotFoundError: there is no such file.
            CheckpointError: the file is broken.
        """
        if not self.file.is_file():
            raise CheckpointNotFoundError(f"There is no {self.file}. {_EXPECTED}")
        return {name: tensor.to(self.device) for name, tensor in open_file(self.file).items()}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """``case.json``, or what holds where there is none: one run, given every input that was recorded."""
        if (path := self.directory / "case.json").is_file():
            facts: dict[str, Any] = read_json(path)
            return facts
        passes = [name for name in INPUTS if f"in.{name}" in self.tensors]
        return {"runs": [{"prefix": "", "what": "the recorded prompt", "passes": passes}]}

    def tolerance(self, tensor: str) -> tuple[float, float]:
        """(atol, rtol) for a tensor's name."""
        atol, rtol = super().tolerance(tensor) if "tolerances" in self.facts else (TOLERANCE, TOLERANCE)
        if tensor in ("position_ids", "mask"):
            return 0.0, 0.0  # counted, never computed
        return atol if self.atol is None else self.atol, rtol if self.rtol is None else self.rtol

    def check(self) -> None:
        """Refuse what cannot be a recording.

        Raises:
            CheckpointError: a run without a prompt or without anything recorded, ids that are no whole numbers of
                [batch, seq], or a ``case.json`` of another form.
        """
        try:
            runs = self.runs
            tolerances = [self.tolerance(our_name(name)) for run in runs for name in run.outputs]
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{self.directory / 'case.json'} does not describe a case: {error!r}.") from error
        for run in runs:
            ids = run.inputs.get("input_ids")
            if ids is None or ids.ndim != 2 or ids.is_floating_point() or not set(run.passes) <= set(run.inputs):
                raise CheckpointError(f"{self.file} holds {_some(self.tensors)}. {_EXPECTED}")
        if not tolerances:
            raise CheckpointError(f"{self.file} holds {_some(self.tensors)}: nothing under out. {_EXPECTED}")


def not_compared(case: Case, ladder: Ladder) -> list[str]:
    """What was recorded and no rung holds, because the network has no tensor of that name.

    Raises:
        CheckpointError: that is all that was recorded.
    """
    compared = {(rung.run, rung.tensor) for rung in ladder.rungs}
    left = [name for run in case.runs for name in run.outputs if (run.name, our_name(name)) not in compared]
    if not compared:
        raise CheckpointError(f"Nothing could be compared: no tensor here is called {', '.join(left[:5])}. {_EXPECTED}")
    return left


def _some(tensors: Mapping[str, Tensor]) -> str:
    names = list(tensors)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"
