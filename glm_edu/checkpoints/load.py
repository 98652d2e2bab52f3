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
from tqdm import tqdm

from glm_edu.checkpoints.arguments import DtypeName, check_device, dtype_name
from glm_edu.checkpoints.checks import CheckpointWarning, check_layers, check_names_and_shapes, is_finite
from glm_edu.checkpoints.hub import locate
from glm_edu.checkpoints.layout import OfficialTensor, official_buffers, official_name, official_tensors
from glm_edu.checkpoints.room import check_room
from glm_edu.checkpoints.shards import open_shards, read_json
from glm_edu.checkpoints.sketch import sketch
from glm_edu.config import ModelConfig
from glm_edu.errors import CheckpointError, InputError
from glm_edu.model.rotary import DTYPES
from glm_edu.model.transformer import Transformer
from glm_edu.quantization.model import bits_named, quantize_, quantized_layers
from glm_edu.quantization.weights import quantized


def from_pretrained(
    path_or_hub_id: str | PathLike[str], dtype: torch.dtype | str | None = None, device: str | torch.device = "cpu",
    revision: str | None = None, quantize: str | None = None, check_memory: bool = True,
) -> Transformer:  # fmt: skip
    """The network with the weights of an official directory, in evaluation mode.

    Args:
        path_or_hub_id: a directory with an official ``config.json`` and its weights, or ``owner/name`` on the hub.
        dtype: of all weights; None: what config.json says, or else what the embedding has in the file.
        device: where the weights go.
        revision: a branch, tag or commit on the hub.
        quantize: "int8" or "int4": the linears of the blocks are quantized as they are read, one tensor at a time. A
            directory of quantized weights needs no word of it and is read as it is.
        check_memory: False loads even where the weights, by the plan, find no room.

    Raises:
        NotEnoughMemoryError: the weights find no room; nothing was read.
        ConfigError: config.json holds a key or value that the network does not have.
        CheckpointError: the directory is broken, or its tensors are not exactly those that config.json calls for.
        InputError: a dtype, device or kind of quantization that cannot be had, or weights that are quantized already.
    """
    device, bits = check_device(device), None if quantize is None else bits_named(quantize)
    model, expected, found = open_checkpoint(path_or_hub_id, dtype, revision)
    if bits is not None:
        quantize_(model, bits)
    if check_memory:
        check_room(str(path_or_hub_id), model.config, found, device)
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
    check_layers(config, found)
    config = replace(config, dtype=named or dtype_on_disk(official, config, found))
    model = sketch(config)
    expected = official_tensors(config, {name: tensor.shape for name, tensor in model.state_dict().items()})
    check_names_and_shapes(expected, found, [*official_buffers(config, old=True), *_head_said_twice(config, found)])
    return model, expected, found


def fill(
    module: nn.Module, expected: Iterable[OfficialTensor], found: Mapping[str, Tensor],
    device: torch.device, dtype: torch.dtype,
) -> None:  # fmt: skip
    """Give a module on the meta device the tensors of an official file; warn about NaN and infinite weights by name.

    Where the file has floats and the module a quantized layer, they are quantized.
    """
    bits = {f"{name}.weight": layer.bits for name, layer in quantized_layers(module).items()}

    def put(name: str, tensor: Tensor) -> dict[str, Tensor]:
        if name not in bits or not tensor.is_floating_point():
            return {name: tensor}
        try:
            return dict(zip((name, f"{name}_scale"), quantized(tensor, bits[name]), strict=True))
        except InputError as error:
            raise CheckpointError(f"{name}: {error}") from error

    module.load_state_dict(read(expected, found, device, dtype, put=put), assign=True)


def read(
    expected: Iterable[OfficialTensor], found: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype,
    cut: Callable[[str, Tensor], Tensor] = lambda name, rows: rows,
    put: Callable[[str, Tensor], dict[str, Tensor]] = lambda name, tensor: {name: tensor},
) -> dict[str, Tensor]:  # fmt: skip
    """Our tensors by name, or the part of each that ``cut`` takes from its rows [runs size ...]; warns as ``fill``.

    ``put`` says what is kept of each, under which names; the rest of it is gone before the next one is read.
    """
    ours: dict[str, Tensor] = {}
    damaged = []
    for official in tqdm(expected, desc="loading", unit="tensor", delay=1, leave=False):
        for part in official.parts:
            rows = cut(part.ours, part.rows(found[official.name]))
            tensor = rows.to(device, torch.int8 if official.quantized else dtype).flatten(0, 1).contiguous()
            narrower = min(tensor, rows, key=Tensor.element_size)  # half the bytes, and an overflow shows in it
            if not official.quantized and not is_finite(narrower) and official.name not in damaged:
                damaged.append(official.name)
            ours |= put(part.ours, tensor)
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


def dtype_on_disk(official: Mapping[str, Any], config: ModelConfig, found: Mapping[str, Tensor]) -> DtypeName:
    """The dtype that config.json names, or else that of the embedding."""
    embedding = found.get(official_name("embedding", config))
    if official.get("torch_dtype", official.get("dtype")) is not None or embedding is None:
        return config.dtype
    name = str(embedding.dtype).removeprefix("torch.")
    return dtype_name(name) if name in DTYPES else config.dtype
