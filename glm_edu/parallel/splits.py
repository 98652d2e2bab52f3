"""The plan of tensor parallelism, as data: which weight is cut along which axis, and what is sent because of it.

Cut a linear by columns (its outputs), and each rank holds some heads, or some of the feed-forward's hidden elements,
whole: attention and activation work on them without a word to the others. Cut the next linear by rows (its inputs), and
each rank's product is one term of a sum; one all-reduce adds the terms. So a block costs two all-reduces.

Shoeybi et al. 2019 (Megatron-LM), section 3. PyTorch names the cuts after W in ``x @ W``; ``nn.Linear`` keeps W
transposed, so columns are its first axis.
Differs: what cannot be cut evenly stays whole on every rank, and the row says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Literal

from glm_edu.config import ModelConfig
from glm_edu.errors import InputError

Cut = Literal["columns", "rows", "table", "whole"]
Sends = Literal["", "all-reduce", "all-gather"]
AXIS: dict[Cut, int | None] = {"columns": 0, "rows": 1, "table": 0, "whole": None}  # of the weight as it is stored


@dataclass(frozen=True)
class Split:
    """One row of the plan.

    Attributes:
        modules: the name of a module, * for the number of the block.
        cut: columns = by outputs, rows = by inputs, table = by ids, whole = a copy on each rank.
        pieces: into how many; fewer than ranks when several ranks hold the same piece, 1 = whole.
        sends: what the ranks do with the output.
        elements: numbers a token that are summed up, or gathered, at one such module.
        why: in words.
    """

    modules: str
    cut: Cut
    pieces: int
    sends: Sends
    elements: int
    why: str

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """What one rank holds of a parameter of this ``shape``. By rows a bias, which has one axis, stays whole."""
        axis, local = AXIS[self.cut], list(shape)
        if axis is not None and axis < len(shape):
            local[axis] //= self.pieces
        return tuple(local)


@dataclass(frozen=True)
class SplitPlan:
    """The rows for one model on ``ranks`` devices; ``str(plan)`` is a table for people."""

    config: ModelConfig
    ranks: int
    rows: tuple[Split, ...]

    def row(self, parameter: str) -> Split:
        """The row that a parameter such as ``blocks.3.attention.query.bias`` falls under."""
        return next(row for row in self.rows if fnmatchcase(parameter, f"{row.modules}.*"))

    @property
    def local_config(self) -> ModelConfig:
        """The config of what one rank computes: its heads and kv groups, everything else as it is."""
        heads, groups = self.row("blocks.0.attention.query.").pieces, self.row("blocks.0.attention.key.").pieces
        return replace(
            self.config, num_heads=self.config.num_heads // heads, num_kv_groups=self.config.num_kv_groups // groups
        )

    def numel(self, shapes: Mapping[str, Sequence[int]]) -> int:
        """Numbers that one rank holds, of parameters with these names and shapes."""
        return sum(math.prod(self.row(name).shape(shape)) for name, shape in shapes.items())

    def sent(self, sends: Sends, tokens: int = 1) -> int:
        """Numbers that one forward pass over ``tokens`` tokens sums up ("all-reduce"), or gathers ("all-gather")."""
        layers = self.config.num_layers
        return tokens * sum(r.elements * (layers if "*" in r.modules else 1) for r in self.rows if r.sends == sends)

    def __str__(self) -> str:
        lines = [("module", "cut", "pieces", "sends a token", "why")]
        for row in self.rows:
            sends = f"{row.sends} {row.elements:,}" if row.sends else "-"
            lines.append((row.modules, row.cut, str(row.pieces), sends, row.why))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def split_plan(config: ModelConfig, ranks: int) -> SplitPlan:
    """Which module of ``config`` is cut how over ``ranks`` devices.

    Raises:
        InputError: no such number of devices, or nothing of this model can be cut into so many pieces.
    """
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise InputError(f"ranks={ranks!r} should be a number of devices, at least 1.")
    plan = SplitPlan(config, ranks, tuple(_rows(config, ranks)))
    if ranks > 1 and all(row.cut == "whole" for row in plan.rows):
        raise InputError(
            f"Nothing of this model can be cut into {ranks} equal pieces: it has {config.num_heads} heads, "
            f"{config.feedforward_size} hidden elements and {config.vocab_size} ids. Take a number that divides one."
        )
    return plan


def _rows(config: ModelConfig, ranks: int) -> Iterator[Split]:
    h, f, v, cut = config.hidden_size, config.feedforward_size, config.vocab_size, partial(_cut, ranks)
    small = "small, and whole tokens need it"
    if config.tied_head:
        yield _whole("embedding", "the head is the same table")
    else:
        yield cut("embedding", "table", v, "ids", "all-reduce", h)
    yield _whole("blocks.*.input_norm", small)
    yield from _attention(config, ranks)
    yield _whole("blocks.*.post_attention_norm", small)
    for name in ("gate", "up") if config.feedforward == "gated" else ("up",):
        yield cut(f"blocks.*.feedforward.{name}", "columns", f, "hidden elements")
    yield cut("blocks.*.feedforward.down", "rows", f, "hidden elements", "all-reduce", h)
    if config.final_norm:
        yield _whole("final_norm", small)
    if not config.tied_head:
        yield cut("head", "columns", v, "ids", "all-gather", v)
    if config.prefix_length:
        yield _whole("prefix", "each rank takes the keys and values of its groups")


def _attention(config: ModelConfig, ranks: int) -> Iterator[Split]:
    """Whole heads to each rank, and with them the groups that they read: head i reads group i // (n/g)."""
    heads, groups, names = config.num_heads, config.num_kv_groups, ("query", "key", "value", "output")
    if heads % ranks or (groups % ranks and ranks % groups):
        why = f"{heads} heads, {groups} kv groups: not even on {ranks} ranks"
        yield from (_whole(f"blocks.*.attention.{name}", why) for name in names)
        return
    yield _cut(ranks, "blocks.*.attention.query", "columns", heads, "heads")
    for name in ("key", "value"):
        if groups % ranks == 0:
            yield _cut(ranks, f"blocks.*.attention.{name}", "columns", groups, "kv groups")
        else:
            cut: Cut = "columns" if groups > 1 else "whole"
            why = f"{ranks // groups} ranks share a kv group"
            yield Split(f"blocks.*.attention.{name}", cut, groups, "", 0, why)
    yield _cut(ranks, "blocks.*.attention.output", "rows", heads, "heads", "all-reduce", config.hidden_size)


def _cut(
    ranks: int, modules: str, cut: Cut, size: int, unit: str, sends: Sends = "", elements: int = 0
) -> Split:
    if ranks == 1:
        return _whole(modules, "there is one rank")
    if size % ranks:
        return _whole(modules, f"{size:,} {unit} are not a multiple of {ranks}")
    return Split(modules, cut, ranks, sends, elements, f"{size // ranks:,} {unit} a rank")


def _whole(modules: str, why: str) -> Split:
    return Split(modules, "whole", 1, "", 0, why)
