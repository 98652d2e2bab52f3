"""PyTorch cuts the model as the plan says, and puts the collectives where the rows of the plan name them.

A cut parameter becomes a ``DTensor``: it has the shape of the whole and holds one rank's piece. The network's own code
does not change. It takes the number of heads from the width of what it gets, so it works on the heads that are here.

Official: torch.distributed.tensor.parallel (PyTorch 2.13), parallelize_module.
Differs: with fewer kv groups than ranks, key and value are cut over every so many ranks, and their neighbours hold the
same piece.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

from glm_edu.errors import InputError
from glm_edu.model.transformer import Transformer
from glm_edu.parallel.ranks import this_rank
from glm_edu.parallel.splits import Split, SplitPlan, split_plan
from glm_edu.quantization.model import quantized_layers


def distribute(model: Transformer, device_type: str = "cpu") -> SplitPlan:
    """Cut ``model`` over the processes that have joined; every rank must hold the same weights (or the meta device).

    Afterwards ``model.config`` counts the heads and kv groups of this rank, as its KV cache does.

    Args:
        device_type: "cpu", or "cuda" for one GPU a process.

    Returns:
        The plan that was followed.

    Raises:
        InputError: no processes have joined, the weights are quantized, or nothing can be cut into so many pieces.
    """
    _, ranks = this_rank()
    if quantized_layers(model):
        raise InputError("Quantized weights cannot be cut over devices. Take the float16 checkpoint, or one device.")
    plan = split_plan(model.config, ranks)
    for pieces in sorted({row.pieces for row in plan.rows if row.pieces > 1}):
        mesh = _mesh(device_type, pieces)
        styles: Any = {r.modules: style(r) for r in plan.rows if r.pieces == pieces}
        parallelize_module(model, mesh, styles, src_data_rank=None)  # None: nothing is sent
    _suit(model, plan)
    return plan


def style(row: Split) -> ParallelStyle:
    """PyTorch's name for a row of the plan."""
    if row.cut == "table":
        return RowwiseParallel(input_layouts=Replicate())
    if row.sends == "all-gather":
        return ColwiseParallel(output_layouts=Replicate())
    return ColwiseParallel() if row.cut == "columns" else RowwiseParallel()


def _suit(model: Transformer, plan: SplitPlan) -> None:
    """What the rest of the network must know: which heads are here, and that its parts are spread out."""
    for module in model.modules():
        if isinstance(module, nn.Linear):  # PyTorch would exchange all pieces before a matrix-vector product
            module.forward = partial(nn.Linear.forward, module)  # type: ignore[method-assign]
    if model.head is not None:
        model.head.register_forward_hook(_arrived)
    if model.prefix is not None:
        model.prefix.register_forward_hook(partial(_own_groups, plan))
    for part in (model, *model.blocks, *(block.attention for block in model.blocks)):
        part.config = plan.local_config


def _mesh(device_type: str, pieces: int) -> DeviceMesh:
    """The ranks that hold different pieces; with fewer pieces than ranks, neighbours hold the same one."""
    copies = dist.get_world_size() // pieces
    return init_device_mesh(device_type, (pieces, copies), mesh_dim_names=("piece", "copy"))["piece"]


def _arrived(module: nn.Module, inputs: object, logits: Tensor) -> Tensor:
    """The logits as a plain tensor, once all of them are here."""
    return logits.wait() if isinstance(logits, AsyncCollectiveTensor) else logits


def _own_groups(plan: SplitPlan, module: nn.Module, inputs: object, made: list[tuple[Tensor, ...]]) -> object:
    """The prefix's keys and values of this rank's kv groups, of the [b g p d] of all."""
    groups, pieces = plan.local_config.num_kv_groups, plan.config.num_kv_groups // plan.local_config.num_kv_groups
    first = dist.get_rank() * pieces // plan.ranks * groups
    return [tuple(both[:, first : first + groups] for both in pair) for pair in made]
