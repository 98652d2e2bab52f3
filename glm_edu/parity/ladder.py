"""The parity ladder: every tensor of a forward pass beside the official one, in forward order.

The first rung that differs is where the mistake is; everything after it only inherits the error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from glm_edu.loss import next_token_loss
from glm_edu.model.cache import KVCache
from glm_edu.model.transformer import Transformer
from glm_edu.parity.case import Case, Run
from glm_edu.record import record, taps


@dataclass(frozen=True)
class Rung:
    """One comparison. ``excess`` is the largest |ours - official| - rtol * |official|, to be held against ``atol``."""

    case: str
    run: str
    tensor: str
    shape: tuple[int, ...]
    max_abs: float
    excess: float
    atol: float
    rtol: float

    @property
    def ok(self) -> bool:
        """Within the tolerance (NaN is not)."""
        return self.excess <= self.atol

    @property
    def used(self) -> float:
        """The part of the tolerance that is used up: at most 1 when equal."""
        return self.excess / self.atol if self.atol else 0.0 if self.ok else float("inf")

    def __str__(self) -> str:
        verdict, where = "equal  " if self.ok else "DIFFERS", f"{self.case}{'/' + self.run if self.run else ''}"
        return f"{verdict} {where:34} {self.tensor:34} max {self.max_abs:.1e}  atol {self.atol:.0e}"


@dataclass(frozen=True)
class Ladder:
    """The rungs of one or more runs, in forward order."""

    rungs: tuple[Rung, ...]

    @property
    def ok(self) -> bool:
        return all(rung.ok for rung in self.rungs)

    @property
    def first_divergent(self) -> str | None:
        """Name of the first tensor that differs, or None."""
        return next((rung.tensor for rung in self.rungs if not rung.ok), None)

    @property
    def worst(self) -> Rung:
        """The rung that uses up most of its tolerance."""
        return max(self.rungs, key=lambda rung: rung.used)

    def __str__(self) -> str:
        if self.ok:
            return f"equal: {len(self.rungs)} tensors, worst {self.worst}"
        bad = [rung for rung in self.rungs if not rung.ok]
        lines = "\n".join(map(str, bad[:12]))
        return f"first divergent tensor: {self.first_divergent} ({len(bad)} of {len(self.rungs)} differ)\n{lines}"


def compare(case: Case, run: Run, ours: Mapping[str, Tensor]) -> Iterator[Rung]:
    """Compare named tensors with a run's official ones, in forward order, on the rows that are no padding."""
    official = {our_name(name): tensor for name, tensor in run.outputs.items()}
    if "position_ids" in run.inputs:
        official["position_ids"] = run.inputs["position_ids"]
    for name in (name for name in ours if name in official):
        mine, theirs = _kept(run, name, ours[name]), _kept(run, name, official[name])
        yield compare_tensors(case.name, run.name, name, mine, theirs, *case.tolerance(name))


def climb(model: Transformer, case: Case, alone: bool = False, eager: bool = True) -> Ladder:
    """Every run of ``case`` through ``model``, each tensor compared.

    Args:
        alone: give the model ids and padding only, and cached steps only ids; the rest follows by itself.
        eager: take the attention path with maps; False compares all that the fast path yields when nobody asks for
            scores, probabilities or the mask.
    """
    caches: dict[str, KVCache] = {}
    rungs: list[Rung] = []
    for run in case.runs:
        cache = _copy(caches[run.continues]) if run.continues is not None else KVCache(block=4)
        caches[run.name] = cache
        rungs += compare(case, run, _ours(model, run, cache, alone, eager))
    return Ladder(tuple(rungs))


def _ours(model: Transformer, run: Run, cache: KVCache, alone: bool, eager: bool) -> dict[str, Tensor]:
    told = () if alone and run.continues is not None else ("attention_mask",) if alone else run.passes
    given = {name: run.inputs[name] for name in run.passes if name in told and name != "input_ids"}
    names = [name for name in taps(model) if eager or not name.endswith(("scores", "probs", "mask"))]
    with torch.no_grad(), record(model.eval(), names) as seen:
        logits = model(run.inputs["input_ids"], cache=cache, **given)
    ours = dict(seen)
    if "labels" in run.inputs:
        ours["loss"] = next_token_loss(logits, run.inputs["labels"])[None]
    return ours


def _copy(cache: KVCache) -> KVCache:
    """Two runs may go on from the same cache."""
    copy = KVCache(cache.block)
    copy.__dict__.update({k: [t.clone() for t in v] if isinstance(v, list) else v for k, v in vars(cache).items()})
    return copy


def our_name(official: str) -> str:
    """Our name of a tensor of ``io.safetensors``; only the cache is called something else there."""
    parts = official.split(".")
    return f"blocks.{parts[1]}.attention.{parts[2]}" if parts[0] == "cache" else official


def _kept(run: Run, name: str, tensor: Tensor) -> Tensor:
    """The rows of tokens that are no padding; a P-tuning prefix in front of the keys is always kept."""
    keep = run.inputs.get("attention_mask")
    if keep is None or bool(keep.all()) or name == "loss":
        return tensor
    keep = keep.bool()
    if name.endswith((".key", ".value")):
        rows = tensor.transpose(1, 2)  # b k g d
        extra = rows.shape[1] - keep.shape[1]
        return rows[torch.cat([keep.new_ones(len(keep), extra), keep], dim=1)]
    queries = keep[:, -run.inputs["input_ids"].shape[1] :]  # b s
    if name == "position_ids":
        return tensor.reshape(len(keep), -1, tensor.shape[-1]).transpose(1, 2)[queries]
    return tensor.transpose(1, 2)[queries] if tensor.ndim == 4 else tensor[queries]


def compare_tensors(
    case: str, run: str, name: str, mine: Tensor, theirs: Tensor, atol: float, rtol: float
) -> Rung:  # fmt: skip
    """One rung: ours beside theirs. Another shape is an infinite difference."""
    if mine.shape != theirs.shape:
        return Rung(case, run, name, tuple(mine.shape), float("inf"), float("inf"), atol, rtol)
    difference = (mine.double() - theirs.double()).abs()
    excess = difference - rtol * theirs.double().abs()
    return Rung(case, run, name, tuple(mine.shape), float(difference.max()), float(excess.max()), atol, rtol)


def all_rungs(ladders: Iterable[Ladder]) -> Ladder:
    """Many ladders as one."""
    return Ladder(tuple(rung for ladder in ladders for rung in ladder.rungs))
