"""What a model needs, in bytes: weights, key-value cache, activations, and the most at one time.

The sizes of the weights are those of the network on the meta device. The rest is counted in a dry run of its own code
(``dry_run.py``): one prompt, the choice of the next token, and one step more, which is where the cache may grow. Both
are done with two and three layers, because each further layer adds the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glm_edu.checkpoints.dry_run import Bytes, dry_run
from glm_edu.checkpoints.layout import official_tensors
from glm_edu.checkpoints.sketch import sketch
from glm_edu.config import ModelConfig
from glm_edu.generate import choose
from glm_edu.model.cache import KVCache
from glm_edu.model.rotary import DTYPES
from glm_edu.model.transformer import Transformer


@dataclass(frozen=True)
class Setting:
    """What is to run, and how. ``config`` says the dtype and the quantization; ``context`` 0 is loading alone."""

    config: ModelConfig
    device: torch.device
    context: int
    batch: int = 1
    found: Mapping[str, Tensor] | None = None  # the tensors of the files, mapped; None: they are not here yet
    stored: torch.dtype | None = None  # what all of them have then; None: that of the config


@dataclass(frozen=True)
class Needs:
    """Bytes.

    Attributes:
        weights: all parameters, as they are held.
        mapped: those of ``weights`` that are pages of the files: the system can drop them and read them again.
        cache: keys and values of the prompt, in whole blocks.
        activations: what else lives at the fullest moment of generating.
        loading: at most while the weights are read.
    """

    weights: int
    mapped: int
    cache: int
    activations: int
    loading: int

    @property
    def peak(self) -> int:
        """At most at one time, loading or generating."""
        return max(self.loading, self.weights + self.cache + self.activations)


def needs(setting: Setting) -> Needs:
    """The bytes that ``setting`` needs."""
    weights, mapped = _over_layers(setting.config, lambda config: _weights(config, setting))
    if not setting.context:
        return Needs(weights, mapped, 0, 0, weights)
    cache, most = _over_layers(setting.config, lambda config: _generating(config, setting))
    return Needs(weights, mapped, cache, most - cache, weights)


def every_logit(setting: Setting) -> int:
    """What lives beside the weights, at most, in one call without a cache, which makes logits at every position."""
    return _over_layers(setting.config, lambda config: _calling(config, setting))[0]


def _over_layers(config: ModelConfig, count: Callable[[ModelConfig], tuple[int, ...]]) -> tuple[int, ...]:
    """``count`` of all layers, from the counts of two and three."""
    if config.num_layers <= 3:
        return count(config)
    two, three = (count(replace(config, num_layers=layers)) for layers in (2, 3))
    return tuple(x + (config.num_layers - 2) * (y - x) for x, y in zip(two, three, strict=True))


def _weights(config: ModelConfig, setting: Setting) -> tuple[int, int]:
    """Bytes of all weights, and of those that stay pages of the files."""
    state = sketch(config).state_dict()
    total = sum(tensor.nbytes for tensor in state.values())
    if setting.device.type != "cpu":
        return total, 0
    mapped = 0
    for official in official_tensors(config, {name: tensor.shape for name, tensor in state.items()}):
        dtype = torch.int8 if official.quantized else DTYPES[config.dtype]
        in_one_run = all(part.step == official.shape[0] for part in official.parts)
        if in_one_run and _stored(official.name, setting) == dtype:
            mapped += torch.Size(official.shape).numel() * dtype.itemsize
    return total, mapped


def _stored(name: str, setting: Setting) -> torch.dtype | None:
    """The dtype of a tensor in the files."""
    if setting.found is None:
        return setting.stored or DTYPES[setting.config.dtype]
    return setting.found[name].dtype if name in setting.found else None


def _generating(config: ModelConfig, setting: Setting) -> tuple[int, int]:
    """Bytes of the cache after a prompt, and of all that is made, at most, by it and the step after it."""
    model, cache = sketch(config), KVCache()
    with dry_run(model) as count:
        ids = torch.zeros(setting.batch, setting.context, dtype=torch.long)
        new = _step(model, ids, cache, count)
        filled = sum(tensor.nbytes for tensor in (*cache.keys, *cache.values))
        if setting.context < config.max_positions:
            _step(model, new, cache, count)
    return filled, count.peak


def _calling(config: ModelConfig, setting: Setting) -> tuple[int]:
    model = sketch(config)
    with dry_run(model) as count:
        count.padded = setting.batch > 1
        model(torch.zeros(setting.batch, setting.context, dtype=torch.long))
    return (count.peak,)


def _step(model: Transformer, ids: Tensor, cache: KVCache, count: Bytes) -> Tensor:
    """One step of ``generate``; prompts of a batch are taken to be of different length."""
    count.padded = len(ids) > 1
    logits = model(ids, cache=cache, last_only=True)[:, -1]  # b v
    count.padded = False
    return choose(logits, temperature=1.0, top_k=50, top_p=0.7)[:, None]  # b 1
