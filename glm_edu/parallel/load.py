"""load_parallel: each rank reads its own part of the mapped files, so no device ever holds the whole model.

The network is built and cut on the meta device, where nothing has storage yet. What PyTorch then says about each
parameter, along which axis it is cut and which piece is this rank's, is cut from the file in the same way.
"""

from __future__ import annotations

from os import PathLike

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from glm_edu.checkpoints.arguments import check_device
from glm_edu.checkpoints.load import open_checkpoint, read
from glm_edu.model.rotary import DTYPES
from glm_edu.model.transformer import Transformer
from glm_edu.parallel.distribute import distribute


def load_parallel(
    path_or_hub_id: str | PathLike[str], dtype: torch.dtype | str | None = None, device: str | torch.device = "cpu",
    revision: str | None = None,
) -> Transformer:  # fmt: skip
    """This rank's part of the model of an official directory, in evaluation mode. Called by every rank that has joined.

    The model is called as a whole one is, with the same ids on every rank, and gives every rank all logits. Work under
    ``torch.no_grad()``, as ``generate`` does: under ``inference_mode`` PyTorch plans each product anew.

    Args:
        path_or_hub_id: as for ``Transformer.from_pretrained``; the same on every rank.
        dtype: of all weights; None: what the checkpoint has.
        device: of this rank, as ``joined()`` gives it.
        revision: a branch, tag or commit on the hub.

    Raises:
        CheckpointError, ConfigError, InputError: as ``from_pretrained``; or no processes have joined, or nothing of the
            model can be cut into so many pieces.
    """
    device = check_device(device)
    model, expected, found = open_checkpoint(path_or_hub_id, dtype, revision)
    distribute(model, device.type)
    parameters = dict(model.named_parameters())
    ours = read(expected, found, device, DTYPES[model.config.dtype], lambda name, rows: _piece(parameters[name], rows))
    model.load_state_dict({name: _as_part_of(parameters[name], ours[name]) for name in parameters}, assign=True)
    return model.eval()


def _piece(parameter: Tensor, rows: Tensor) -> Tensor:
    """The part of ``rows`` [runs size ...] that this rank holds. Interleaved heads are cut between heads."""
    if not isinstance(parameter, DTensor) or not parameter.placements[0].is_shard():
        return rows
    axis = parameter.placements[0].dim  # type: ignore[attr-defined]
    along = axis + 1 if axis or len(rows) == 1 else 0
    mesh = parameter.device_mesh
    return rows.chunk(mesh.size(), dim=along)[mesh.get_local_rank()]


def _as_part_of(parameter: Tensor, local: Tensor) -> Tensor:
    """``local`` as this rank's piece of a parameter, or as it is where the parameter is not cut."""
    if not isinstance(parameter, DTensor):
        return local
    return DTensor.from_local(
        local, parameter.device_mesh, parameter.placements,
        run_check=False, shape=parameter.shape, stride=parameter.stride(),
    )  # fmt: skip
