"""What a call may be given: ids, mask and positions, checked before anything is computed.

The official code computes on with what it gets, or fails inside a kernel; here the message names the argument, what was
expected and what came.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.errors import InputError

Ids = Int[Tensor, "b s"]
Keep = Bool[Tensor, "b t"]  # t: cached and new tokens


def check_ids(ids: Tensor, config: ModelConfig, past: int) -> None:
    """Raise InputError unless ``ids`` are [batch, seq] tokens of the vocabulary with room behind ``past`` cached."""
    if not _whole(ids) or ids.ndim != 2 or not ids.numel():
        raise InputError(f"input_ids should be whole numbers [batch, seq], at least one, not {_say(ids)}.")
    _check_range("input_ids", ids, config.vocab_size, "the vocabulary has ids")
    if past + ids.shape[1] > config.max_positions:
        raise InputError(
            f"{past} cached and {ids.shape[1]} new tokens are more than the {config.max_positions} that this "
            "model was made for; shorten the prompt, or try dataclasses.replace(config, max_positions=...)."
        )


def check_cache(keys: Sequence[Tensor], prefix_length: int, config: ModelConfig, batch: int) -> None:
    """Raise InputError if cached ``keys``, [b g k d] of each layer, are another model's or of another batch."""
    held, groups, _, head_dim = keys[0].shape
    filled_by = (len(keys), groups, head_dim, prefix_length)
    if filled_by != (config.num_layers, config.num_kv_groups, config.head_dim, config.prefix_length):
        raise InputError("The cache was filled by another model; begin with a fresh KVCache().")
    if held != batch:
        raise InputError(f"The cache holds a batch of {held}, input_ids one of {batch}.")


def kept_tokens(ids: Ids, attention_mask: Tensor | None, cached: Bool[Tensor, "b p"] | None, past: int) -> Keep:
    """True for every cached and new token that is no padding.

    Raises:
        InputError: ``attention_mask`` is not [batch, cached and new tokens].
    """
    expected = (ids.shape[0], past + ids.shape[1])
    if attention_mask is None:
        keep = torch.ones(expected, dtype=torch.bool, device=ids.device)  # b t
        if cached is not None:
            keep[:, :past] = cached
        return keep
    if not isinstance(attention_mask, Tensor) or tuple(attention_mask.shape) != expected:
        given = _say(attention_mask)
        raise InputError(f"attention_mask should be {list(expected)} (batch, cached and new tokens), not {given}.")
    if not bool(((attention_mask == 0) | (attention_mask == 1)).all()):
        raise InputError(
            "attention_mask should hold 1 (keep) and 0 (padding); a mask to be added to scores is another thing."
        )
    return attention_mask.to(ids.device).bool()


def check_positions(position_ids: Tensor, ids: Ids, config: ModelConfig) -> None:
    """Raise InputError unless there is a position (two, with two clocks) for each token, within the model's limit."""
    expected = [ids.shape[0], 2, ids.shape[1]] if config.rotary_channels == 2 else list(ids.shape)
    if not _whole(position_ids) or list(position_ids.shape) != expected:
        raise InputError(f"position_ids should be whole numbers {expected}, not {_say(position_ids)}.")
    _check_range("position_ids", position_ids, config.max_positions, "this model has positions")


def _whole(ids: object) -> bool:
    return isinstance(ids, Tensor) and ids.dtype in (torch.int64, torch.int32)


def _check_range(name: str, ids: Tensor, limit: int, there_are: str) -> None:
    low, high = map(int, ids.aminmax())
    if low < 0 or high >= limit:
        raise InputError(f"{name} run from {low} to {high}; {there_are} 0 to {limit - 1}.")


def _say(given: object) -> str:
    if not isinstance(given, Tensor):
        return type(given).__name__
    return f"{str(given.dtype).removeprefix('torch.')} {list(given.shape)}"
