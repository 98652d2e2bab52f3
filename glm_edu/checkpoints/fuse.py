"""What an official file of a model holds, put together from the model's tensors: the way back of ``layout.py``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from glm_edu.checkpoints.layout import OfficialTensor, official_buffers, official_tensors
from glm_edu.checkpoints.write import Entry
from glm_edu.config import ModelConfig
from glm_edu.errors import CheckpointError
from glm_edu.model.rotary import DTYPES, inverse_frequencies
from glm_edu.model.transformer import Transformer


def official_entries(model: Transformer, config: ModelConfig) -> list[Entry]:
    """Every tensor and buffer of the official file, in the order of a forward pass; none is made yet.

    Raises:
        CheckpointError: the model is on the meta device or cut over several, or has a tensor without a place in the
            official layout.
    """
    state = model.state_dict()
    if any(tensor.is_meta for tensor in state.values()):
        raise CheckpointError("The model is on the meta device: it has shapes, but no weights to save.")
    if cut := [name for name, tensor in state.items() if type(tensor) is not Tensor]:  # a DTensor
        raise CheckpointError(f"{cut[0]} is cut over several devices: this is a part. Save the model that is whole.")
    tensors = official_tensors(config, {name: tensor.shape for name, tensor in state.items()})
    entries = [Entry(t.name, state[t.parts[0].ours].dtype, t.shape, partial(fuse, t, state)) for t in tensors]
    turns = _official_frequencies(config)
    return entries + [Entry(name, turns.dtype, tuple(turns.shape), turns.clone) for name in official_buffers(config)]


def _official_frequencies(config: ModelConfig) -> Float[Tensor, " pairs"]:
    """The buffer of official files. Nobody reads its values, but a strict load wants it, and ChatGLM2-6B its dtype."""
    if config.layout == "chatglm":
        return inverse_frequencies(config.rotary_dim, config.rotary_base).half()
    return inverse_frequencies(config.rotary_dim, config.rotary_base, DTYPES[config.dtype])  # rope_ratio is not in it


def fuse(official: OfficialTensor, state: Mapping[str, Tensor]) -> Shaped[Tensor, "*shape"]:
    """One official tensor on the CPU, put together from ours."""
    if len(official.parts) == 1:
        return state[official.parts[0].ours].cpu()
    whole = torch.empty(official.shape, dtype=state[official.parts[0].ours].dtype)
    for part in official.parts:
        part.rows(whole).copy_(state[part.ours].unflatten(0, (-1, part.size)))
    return whole
