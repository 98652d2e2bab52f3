"""Tiny networks for tests, with weights large enough that a mistake shows, and prompts of their kind."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from glm_edu import ModelConfig, Transformer

PRESETS = ("tiny-chatglm", "tiny-chatglm2", "tiny-llama")
TEXT = (10, 400)  # ids of the tiny vocabularies that mean nothing special


def tiny(preset: str, seed: int = 0, **options: Any) -> Transformer:
    """A preset with ``options``, in evaluation mode and frozen; tests of training thaw it with ``requires_grad_()``.

    The package's own start (deviation 0.02) attends almost evenly to everything, which would hide a wrong mask or
    position. These weights do not.
    """
    model = Transformer(replace(ModelConfig.preset(preset), **options)).eval()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=source)
            parameter.copy_(noise * 2 / parameter.shape[-1] ** 0.5 if parameter.ndim == 2 else parameter + noise / 5)
    return model.requires_grad_(False)


def prompt(config: ModelConfig, *lengths: int, answer: int = 0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Ids [rows, longest] and keep mask of prompts of these lengths, padded on the left.

    For ChatGLM-6B, [gMASK] and bos stand before the last ``answer`` tokens.
    """
    source = torch.Generator().manual_seed(seed)
    ids = torch.full((len(lengths), max(lengths)), config.pad_id if config.pad_id is not None else 0)
    keep = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        text = torch.randint(*TEXT, (length,), generator=source)
        if config.bos_id is not None and config.gmask_id is not None:
            end = length - answer
            text[end - 2], text[end - 1] = config.gmask_id, config.bos_id
        ids[row, -length:], keep[row, -length:] = text, 1
    return ids, keep
