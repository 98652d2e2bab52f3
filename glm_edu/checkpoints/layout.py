"""What an official file of a given config holds: every tensor's name and shape, and which of its rows are whose.

Three fusions occur. ``per_head``: the rows of head 0's query, key and value, then head 1's, and so on (ChatGLM-6B,
and ChatGLM2-6B without multi-query). ``blocks``: all query rows, then all key rows, then all value rows (ChatGLM2-6B).
Gate and up: all gate rows, then all up rows. One formula reads them all: of every ``step`` rows, ``size`` from
``start`` on. A quantized weight has a scale for each row, ``weight_scale``, and its rows lie in the same way.

Official: SelfAttention.forward and MLP of modeling_chatglm.py, where the fused outputs are split.
Differs: official code splits activations at every call; here the weights are split once, as views of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from jaxtyping import Shaped
from torch import Tensor

from glm_edu.checkpoints.name_maps import BUFFERS, OLD_BUFFERS, TABLES
from glm_edu.config import ModelConfig
from glm_edu.errors import CheckpointError

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Part:
    """The rows of an official tensor that make one of ours: of every ``step`` rows, ``size`` from ``start`` on."""

    ours: str
    start: int
    size: int
    step: int

    def rows(self, official: Shaped[Tensor, "rows ..."]) -> Shaped[Tensor, "runs size ..."]:
        """A view of our rows, run by run; the first two axes flattened are our tensor."""
        return official.unflatten(0, (-1, self.step))[:, self.start : self.start + self.size]


@dataclass(frozen=True)
class OfficialTensor:
    """One tensor of an official file, and our tensors in it."""

    name: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]
    quantized: bool = False  # whole numbers in int8


def official_tensors(config: ModelConfig, shapes: Shapes) -> list[OfficialTensor]:
    """The official tensors that hold our tensors, in the order of a forward pass.

    Args:
        config: says the layout and how query, key and value are fused.
        shapes: our tensors' names and shapes; each of them stands in exactly one official tensor.

    Raises:
        CheckpointError: one of our names has no place in the official layout.
    """
    left = dict(shapes)
    tensors = []
    for official, stems in _rows_of_table(config):
        for kind in ("weight", "weight_scale", "bias"):
            if f"{stems[0]}.{kind}" in left:
                mine = {name: tuple(left.pop(name)) for name in (f"{stem}.{kind}" for stem in stems)}
                quantized = kind == "weight" and f"{stems[0]}.weight_scale" in left
                tensors.append(_official_tensor(f"{official}.{kind}", mine, config, quantized))
    if left:
        raise CheckpointError(f"The official {config.layout} layout has no place for {', '.join(left)}.")
    return tensors


def official_name(stem: str, config: ModelConfig) -> str:
    """The official name of the weight of one of our modules outside the blocks, such as ``head``."""
    return next(f"{official}.weight" for official, stems in TABLES[config.layout].items() if stems == (stem,))


def official_buffers(config: ModelConfig, *, old: bool = False) -> list[str]:
    """Names of the buffers in an official file; ``old``: also of those that only early files hold."""
    names = BUFFERS[config.layout] + (OLD_BUFFERS.get(config.layout, ()) if old else ())
    return [name.format(i=i) for name in names for i in range(config.num_layers if "{i}" in name else 1)]


def _rows_of_table(config: ModelConfig) -> Iterator[tuple[str, list[str]]]:
    """The table with the blocks counted out: all rows of block 0, all rows of block 1, ..."""
    for repeated, rows in groupby(TABLES[config.layout].items(), key=lambda row: "{i}" in row[0]):
        group = list(rows)
        for i in range(config.num_layers if repeated else 1):
            yield from ((official.format(i=i), [stem.format(i=i) for stem in stems]) for official, stems in group)


def _official_tensor(
    name: str, mine: dict[str, tuple[int, ...]], config: ModelConfig, quantized: bool
) -> OfficialTensor:
    sizes = [shape[0] for shape in mine.values()]
    per_head = len(mine) == 3 and config.fused_rows == "per_head"  # three tensors in one: query, key and value
    runs = _runs([config.head_dim] * 3 if per_head else sizes)
    parts = tuple(Part(ours, *run) for ours, run in zip(mine, runs, strict=True))
    return OfficialTensor(name, (sum(sizes), *next(iter(mine.values()))[1:]), parts, quantized)


def _runs(sizes: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """(start, size, step) of consecutive runs."""
    ends = list(accumulate(sizes))
    for start, end in zip([0, *ends], ends, strict=False):
        yield start, end - start, ends[-1]
