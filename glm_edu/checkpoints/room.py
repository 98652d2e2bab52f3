"""Is there room to load? Asked between opening the files and reading them.

Weights that are cast, moved, quantized or put in another order are copies and need memory of their own. The others are
pages of the files: the system reads them when they are used and drops them when memory is short. So they are never
refused; if they are more than what is free, each pass reads them from the disk again, and that is worth a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from glm_edu.checkpoints.changes import smallest_changes, what_fits
from glm_edu.checkpoints.files import say_bytes
from glm_edu.checkpoints.free import free_memory
from glm_edu.checkpoints.needs import Setting, needs
from glm_edu.config import ModelConfig
from glm_edu.errors import NotEnoughMemoryError


class MemoryWarning(UserWarning):
    """A model that loads, and then waits for the disk at every pass."""


def check_room(name: str, config: ModelConfig, found: Mapping[str, Tensor], device: torch.device) -> None:
    """See that the weights of ``name`` find room on ``device``, as they will be held there.

    Raises:
        NotEnoughMemoryError: they do not; it says what would fit.
    """
    setting = Setting(config, device, context=0, found=found)
    needed, free = needs(setting), free_memory(device)
    own = needed.loading - needed.mapped
    form = f"in int{config.quantization_bits}" if config.quantization_bits else f"in {config.dtype}"
    if own > free:
        raise NotEnoughMemoryError(
            f"The weights of {name} {form} need {say_bytes(own)} of memory; {say_bytes(free)} are free on {device}. "
            f"{what_fits(smallest_changes(setting, free))} check_memory=False loads all the same."
        )
    if needed.loading > free:
        warnings.warn(
            f"The weights of {name} are {say_bytes(needed.loading)} and {say_bytes(free)} are free: every pass reads "
            f"them from the disk. {what_fits(smallest_changes(setting, free))}", MemoryWarning, stacklevel=4,
        )  # fmt: skip
