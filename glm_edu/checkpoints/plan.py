"""plan: does it fit? Said before a byte of the weights is read, with the smallest change that would.

It reads config.json and the headers of the files. ``needs.py`` says how the bytes are counted. Without gradients:
training needs several times as much. What Python and PyTorch take is not in it, about 0.3 GB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from glm_edu.checkpoints.arguments import check_device, dtype_name
from glm_edu.checkpoints.changes import Change, smallest_changes, what_fits
from glm_edu.checkpoints.files import say_bytes
from glm_edu.checkpoints.free import free_memory
from glm_edu.checkpoints.hub import locate
from glm_edu.checkpoints.load import dtype_on_disk
from glm_edu.checkpoints.needs import Needs, Setting, every_logit, needs
from glm_edu.checkpoints.shards import open_shards, read_json
from glm_edu.config import PRESETS, ModelConfig
from glm_edu.errors import CheckpointNotFoundError, InputError, NotEnoughMemoryError
from glm_edu.model.rotary import DTYPES
from glm_edu.quantization.model import bits_named

USUAL_CONTEXT = 2048


@dataclass(frozen=True)
class Plan(Needs):
    """What a model needs and what is free, in bytes; ``str(plan)`` is a table.

    Attributes:
        name: what was asked for.
        dtype: of the weights that are not quantized.
        device: where it is to run.
        context: tokens of the prompt.
        batch: prompts at once.
        quantize: "int8", "int4" or None, also as the files are.
        every_logit: beside the weights, in one call without a cache, which makes logits at every position.
        free: what ``device`` has left.
        changes: where it does not fit, the smallest changes that would; empty if there are none.
    """

    name: str
    dtype: str
    device: str
    context: int
    batch: int
    quantize: str | None
    every_logit: int
    free: int
    changes: tuple[Change, ...]

    @property
    def fits(self) -> bool:
        """Whether the peak is no more than what is free."""
        return self.peak <= self.free

    @property
    def peak_of_a_call(self) -> int:
        """At most in ``model(input_ids)``."""
        return self.weights + self.every_logit

    def check(self) -> None:
        """Raise NotEnoughMemoryError, with what would fit, unless the plan fits."""
        if not self.fits:
            raise NotEnoughMemoryError(
                f"{self.name} in {self._form()} with a prompt of {self.batch} x {self.context} tokens needs "
                f"{say_bytes(self.peak)}; {say_bytes(self.free)} are free on {self.device}. {what_fits(self.changes)}"
            )

    def _form(self) -> str:
        return self.dtype if self.quantize is None else f"{self.quantize} and {self.dtype}"

    def __str__(self) -> str:
        rows = {
            f"weights, {self._form()}": self.weights,
            "  of these, pages of the files": self.mapped,
            f"cache of {self.batch} x {self.context} tokens": self.cache,
            "activations": self.activations,
            "at most while loading": self.loading,
            "at most while generating": self.weights + self.cache + self.activations,
            "at most in one call, every logit": self.peak_of_a_call,
            f"free on {self.device}": self.free,
        }
        lines = [f"{label:<36}{say_bytes(count):>12}" for label, count in rows.items()]
        verdict = "It fits." if self.fits else f"It does not fit. {what_fits(self.changes)}"
        return "\n".join([self.name, *lines, verdict])


def plan(
    path_or_hub_id: str | PathLike[str], dtype: torch.dtype | str | None = None, device: str | torch.device = "cpu",
    context: int | None = None, batch: int = 1, quantize: str | None = None, revision: str | None = None,
) -> Plan:  # fmt: skip
    """What a model needs, what is free, and what would fit.

    Args:
        path_or_hub_id: as in ``from_pretrained``, or a preset (``chatglm-6b``), which needs no file. From the hub,
            the config alone is fetched.
        dtype: of the weights; None: as ``from_pretrained`` would take it.
        device: where it is to run.
        context: tokens of each prompt; None: 2048, or what the model was made for if that is less.
        batch: prompts at once; more than one are taken to be padded.
        quantize: "int8", "int4" or None.
        revision: a branch, tag or commit on the hub.

    Raises:
        GLMError: as in ``from_pretrained``; a plan that does not fit is no error (``check`` makes it one).
    """
    place = check_device(device)
    config, found = _read(path_or_hub_id, revision)
    stored = DTYPES[config.dtype]
    config = replace(config, dtype=config.dtype if dtype is None else dtype_name(dtype))
    if quantize is not None:
        config = _quantized(config, quantize)
    context = min(USUAL_CONTEXT, config.max_positions) if context is None else context
    _check_sizes(config, context, batch)
    setting = Setting(config, place, context, batch, found, stored)
    return _planned(str(path_or_hub_id), setting)


def _planned(name: str, setting: Setting) -> Plan:
    needed, free, bits = needs(setting), free_memory(setting.device), setting.config.quantization_bits
    changes = () if needed.peak <= free else smallest_changes(setting, free)
    return Plan(**vars(needed), name=name, dtype=setting.config.dtype, device=str(setting.device),
                context=setting.context, batch=setting.batch, quantize=f"int{bits}" if bits else None,
                every_logit=every_logit(setting), free=free, changes=changes)  # fmt: skip


def _read(path_or_hub_id: str | PathLike[str], revision: str | None) -> tuple[ModelConfig, Mapping[str, Tensor] | None]:
    """The config, with the dtype that loading would take, and the tensors of the files, if there are any."""
    name = str(path_or_hub_id)
    if name in PRESETS and revision is None and not Path(name).is_dir():
        return ModelConfig.preset(name), None
    directory = locate(path_or_hub_id, revision, weights=False)
    official = read_json(directory / "config.json")
    config = ModelConfig.from_official(official)
    try:
        found = open_shards(directory)
    except CheckpointNotFoundError:  # from the hub, the weights are not here yet
        return config, None
    return replace(config, dtype=dtype_on_disk(official, config, found)), found


def _quantized(config: ModelConfig, quantize: str) -> ModelConfig:
    bits = bits_named(quantize)
    if config.quantization_bits:
        raise InputError(f"The weights are int{config.quantization_bits} in the files already. Leave out quantize.")
    return replace(config, quantization_bits=bits)


def _check_sizes(config: ModelConfig, context: int, batch: int) -> None:
    for name, given, most in (("context", context, config.max_positions), ("batch", batch, 2**20)):
        if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= most:
            raise InputError(f"{name}={given!r} should be a whole number from 1 to {most}.")
