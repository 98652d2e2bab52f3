"""A dry run: the network's own code on tensors that have a shape and no storage, while every byte is counted.

What a forward pass needs beside the weights follows from which of its tensors live at the same time. No formula beside
the code says that: the code itself runs, on the meta device, and a tensor counts from the operation that makes it to
the moment when nothing refers to it any more. What happens inside one operation is not seen, except for the fused
attention, whose parts are written out here.

Official: torch.utils._python_dispatch.TorchDispatchMode (every operation passes it), the meta device of PyTorch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_ANSWERS: dict[Any, Callable[[], Any]] = {  # of what a program asks about values, which are not there
    torch.ops.aten._local_scalar_dense.default: lambda: 0,
    torch.ops.aten.any.default: lambda: torch.tensor(False, device="cpu"),
}


class Bytes(TorchDispatchMode):
    """Counts the bytes of tensors made while it lasts: ``live`` now, ``peak`` at most so far.

    A question about values is answered as for sound input: nothing is wrong (``any`` is False), and all is kept
    (``all`` is True) unless ``padded``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.padded = False
        self._counted: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here; guarding against it would load the compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.all.default:
            return torch.tensor(not self.padded, device="cpu")
        if func in _ANSWERS and args[0].is_meta:
            return _ANSWERS[func]()
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.is_meta:
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self._counted:  # a view, or written in place
            return
        self._counted.add(id(storage))
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, id(storage), storage.nbytes()).atexit = False

    def _gone(self, key: int, nbytes: int) -> None:
        self._counted.remove(key)
        self.live -= nbytes

    def ignore(self, module: nn.Module) -> None:
        """Do not count the tensors of ``module``: they are there before the run."""
        self._counted |= {id(tensor.untyped_storage()) for tensor in module.state_dict(keep_vars=True).values()}


class _FusedAttention(TorchFunctionMode):
    """The parts of PyTorch's fused attention on a CPU. The meta device would write out all scores instead."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        query, mask = args[0], kwargs.get("attn_mask")
        parts = [query.new_empty(query.shape[:-1], dtype=torch.float32)]  # b n q   one number a row
        if mask is not None and mask.dtype == torch.bool:
            parts += [torch.zeros_like(mask, dtype=query.dtype), mask.logical_not()]  # the mask as numbers to add
        return torch.empty_like(query)  # b n q d


@contextmanager
def dry_run(model: nn.Module) -> Iterator[Bytes]:
    """Whatever is computed inside, with a ``model`` on the meta device, makes no numbers and is counted."""
    with ExitStack() as stack:
        for mode in (torch.no_grad(), torch.device("meta"), _FusedAttention()):
            stack.enter_context(mode)
        counted = Bytes()
        counted.ignore(model)
        yield stack.enter_context(counted)
