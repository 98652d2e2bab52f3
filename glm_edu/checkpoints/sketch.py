"""The network of a config on the meta device: every tensor has its shape and dtype, and no storage.

Where the config says that the weights are quantized, so are those of the sketch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from glm_edu.config import ModelConfig
from glm_edu.errors import ConfigError, InputError
from glm_edu.model.rotary import DTYPES
from glm_edu.model.transformer import Transformer
from glm_edu.quantization.model import quantize_


class NoInit(TorchFunctionMode):
    """While it lasts, ``torch.nn.init`` does nothing: giving values to tensors without storage takes torch a second."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return kwargs["tensor"] if getattr(func, "__module__", "") == "torch.nn.init" else func(*args, **kwargs)


def sketch(config: ModelConfig) -> Transformer:
    """The network of ``config`` in its dtype, in evaluation mode, on the meta device.

    Raises:
        ConfigError: its sizes cannot be quantized so.
    """
    with torch.device("meta"), NoInit():
        model = Transformer(config).to(DTYPES[config.dtype]).eval()
        if not config.quantization_bits:
            return model
        try:
            return quantize_(model, config.quantization_bits)
        except InputError as error:
            raise ConfigError(f"config.json: quantization_bit={config.quantization_bits}: {error}") from error
