"""Counting while it runs: operations of matrix products, and bytes that a cache copies.

PyTorch's own counter is used for the operations; it leaves out the fused attention of the CPU and products with a
vector, which are added here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from glm_edu.model.cache import KVCache

aten = torch.ops.aten
COPIES = {aten.copy_.default, aten.cat.default, aten.clone.default, aten._to_copy.default}
Shape = tuple[int, ...]


def _fused(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Fused attention: every query with every key, then as much again for the values."""
    return 2 * prod(query) * key[-2] + 2 * prod(query[:-1]) * key[-2] * value[-1]


def _vector(matrix: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(matrix)


def _added_vector(start: Shape, matrix: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(matrix)


MORE = {
    aten._scaled_dot_product_flash_attention_for_cpu: _fused,
    aten.mv: _vector,
    aten.addmv: _added_vector,
}


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products that ``run()`` does, as they are done."""
    with FlopCounterMode(display=False, custom_mapping=MORE) as counter:
        run()
    return counter.get_total_flops()


class CopyMeter(TorchDispatchMode):
    """Counts in ``bytes`` what is written while keys and values are put into ``cache``: the new ones, and every copy.

    It watches ``cache.append`` from its creation on.
    """

    def __init__(self, cache: KVCache) -> None:
        super().__init__()
        self.bytes, self._append = 0, cache.append
        cache.append = self._watched  # type: ignore[method-assign]

    def _watched(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        with self:
            return self._append(layer, key, value)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in COPIES:
            self.bytes += result.numel() * result.element_size()
        return result
