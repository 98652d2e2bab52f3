"""from_pretrained: an official directory becomes a Transformer without a second copy of its weights.

The network is built on the meta device, where tensors have shapes and no storage. Each of its tensors is then a view of
the file mapped into memory. What must change is copied, one tensor at a time: another dtype, another device, and the
rows of query, key and value where the file interleaves them head by head.

Official: ``PreTrainedModel.from_pretrained`` of transformers.
Differs: a missing, extra or mis-shaped tensor is always an error; all weights get one dtype (ChatGLM-6B's LayerNorms
are float32 on disk, and its users call ``.half()`` or ``.float()`` before the first forward pass).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from tqdm import tqdm

from glm_edu.checkpoints.arguments import DtypeName, check_device, dtype_name
from glm_edu.checkpoints.checks import CheckpointWarning, check_names_and_shapes, is_finite
from glm_edu.checkpoints.hub import locate
from glm_edu.checkpoints.layout import OfficialTensor, official_buffers, official_name, official_tensors
from glm_edu.checkpoints.shards import open_shards, read_json
from glm_edu.config import ModelConfig
from glm_edu.errors import CheckpointError, InputError
from glm_edu.model.rotary import DTYPES
from glm_edu.model.transformer import Transformer


def from_pretrained(
    path_or_hub_id: str | PathLike[str], dtype: torch.dtype | str | None = None, device: str | torch.device = "cpu",
    revision: str | None = None, quantize: str | None = None,
) -> Transformer:  # fmt: skip
    """The network with the weights of an official directory, in evaluation mode.

    Args:
        path_or_hub_id: a directory with an official ``config.json`` and its weights, or ``owner/name`` on the hub.
        dtype: of all weights; None: what config.json says, or else what the embedding has in the file.
        device: where the weights go.
        revision: a branch, tag or commit on the hub.
        quantize: not available yet.

    Raises:
        ConfigError: config.json holds a key or value that the network does not have.
        CheckpointError: the directory is broken, or its tensors are not exactly those that config.json calls for.
        InputError: a dtype or device that cannot be had.
    """
    if quantize is not None:
        raise InputError(f"quantize={quantize!r} is not available yet. Leave it out; dtype='float16' halves float32.")
    device = check_device(device)
    model, expected, found = open_checkpoint(path_or_hub_id, dtype, revision)
    fill(model, expected, found, device, DTYPES[model.config.dtype])
    return model.eval()


def open_checkpoint(
    path_or_hub_id: str | PathLike[str], dtype: torch.dtype | str | None = None, revision: str | None = None
) -> tuple[Transformer, list[OfficialTensor], dict[str, Tensor]]:
    """The network on the meta device, the official tensors that it needs, and those that are there, mapped into memory.

    Arguments and errors are those of ``from_pretrained``. Names and shapes are checked; no weight is read.
    """
    named = None if dtype is None else dtype_name(dtype)
    directory = locate(path_or_hub_id, revision)
    official = read_json(directory / "config.json")
    config = ModelConfig.from_official(official)
    found = open_shards(directory)
    config = replace(config, dtype=named or _dtype_on_disk(official, config, found))
    with torch.device("meta"), NoInit():
        model = Transformer(config)
    expected = official_tensors(config, {name: tensor.shape for name, tensor in model.state_dict().items()})
    check_names_and_shapes(expected, found, [*official_buffers(config, old=True), *_head_said_twice(config, found)])
    return model, expected, found


class NoInit(TorchFunctionMode):
    """While it lasts, ``torch.nn.init`` does nothing: giving values to tensors without storage takes torch a second."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return kwargs["tensor"] if getattr(func, "__module__", "") == "torch.nn.init" else func(*args, **kwargs)


def fill(
    module: nn.Module, expected: Iterable[OfficialTensor], found: Mapping[str, Tensor],
    device: torch.device, dtype: torch.dtype,
) -> None:  # fmt: skip
    """Give a module on the meta device the tensors of an official file; warn about NaN and infinite weights by name."""
    module.load_state_dict(read(expected, found, device, dtype), assign=True)


def read(
    expected: Iterable[OfficialTensor], found: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype,
    cut: Callable[[str, Tensor], Tensor] = lambda name, rows: rows,
) -> dict[str, Tensor]:  # fmt: skip
    """Our tensors by name, or the part of each that ``cut`` takes from its rows [runs size ...]; warns as ``fill``."""
    ours: dict[str, Tensor] = {}
    damaged = []
    for official in tqdm(expected, desc="loading", unit="tensor", delay=1, leave=False):
        for part in official.parts:
            rows = cut(part.ours, part.rows(found[official.name]))
            ours[part.ours] = rows.to(device, dtype).flatten(0, 1).contiguous()
        if not all(is_finite(ours[part.ours]) for part in official.parts):
            damaged.append(official.name)
    if damaged:
        warnings.warn(f"NaN or infinite weights in {', '.join(damaged)}.", CheckpointWarning, stacklevel=5)
    return ours


def _head_said_twice(config: ModelConfig, found: Mapping[str, Tensor]) -> list[str]:
    """The official name of a tied head, which a file may hold if it repeats the embedding."""
    if not config.tied_head:
        return []
    head, embedding = official_name("head", config), official_name("embedding", config)
    if head in found and embedding in found and not _equal(found[head], found[embedding]):
        raise CheckpointError(
            f"config.json ties the head to the embedding (tie_word_embeddings), but {head} differs from {embedding}. "
            "Set tie_word_embeddings to false to load both."
        )
    return [head]


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.data_ptr() == b.data_ptr() or (a.dtype == b.dtype and torch.equal(a, b))


def _dtype_on_disk(official: Mapping[str, Any], config: ModelConfig, found: Mapping[str, Tensor]) -> DtypeName:
    """The dtype that config.json names, or else that of the embedding."""
    embedding = found.get(official_name("embedding", config))
    if official.get("torch_dtype", official.get("dtype")) is not None or embedding is None:
        return config.dtype
    name = str(embedding.dtype).removeprefix("torch.")
    return dtype_name(name) if name in DTYPES else config.dtype
