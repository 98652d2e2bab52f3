"""Activation patching: put a tensor of one pass into another pass, at some positions, and see what becomes of it.

Two prompts of equal length differ in one place. What the model says differs too, and somewhere between the two lies the
way. Put the donor's vector where the other prompt has its own, let the rest be computed, and measure the answer: where
the answer moves, what made the difference passes. Meng et al. 2022, section 2.1 (causal tracing).

A pass whose attention maps are recorded takes another path, equal but for the last bits (``glm_edu.record``). For
equality to the bit record the donor without its maps, or set ``model.eager_attention``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.inputs import Ids
from glm_edu.model.transformer import Transformer
from glm_edu.record import record

Logits = Float[Tensor, "b s v"]
Measure = Callable[[Logits], Float[Tensor, " b"]]  # one number a prompt, such as a difference of two logits
EVERYWHERE = slice(None)


@torch.no_grad()
def patched(
    model: Transformer, input_ids: Ids, name: str, donor: Float[Tensor, "b s *rest"],
    positions: int | slice = EVERYWHERE,
) -> Logits:  # fmt: skip
    """The logits of ``input_ids`` if the tensor ``name`` were the donor's at ``positions``.

    Args:
        name: a recorded name with positions on its second axis, such as ``blocks.1.output``.
        donor: the same tensor of the other pass.

    Raises:
        RecordError: no tensor has that name, or the donor's has another shape.
    """

    def put(own: Tensor) -> Tensor:
        if own.shape == donor.shape:
            own[:, positions] = donor[:, positions]
            return own
        return donor  # record says what is wrong with its shape

    with record(model, [], replace={name: put}):
        logits = model(input_ids)
    return logits


@torch.no_grad()
def patch_map(
    model: Transformer, input_ids: Ids, donor_ids: Ids, names: Sequence[str], measure: Measure
) -> Float[Tensor, "l s b"]:
    """How far ``measure`` moves when one tensor of ``names`` is the donor's at one position, for each and each.

    Where the two passes have the same vectors nothing can move; that is not computed.

    Raises:
        InputError: prompts of different shapes: there would be no telling which position is whose.
        RecordError: a name that is not recorded.
    """
    if input_ids.shape != donor_ids.shape:
        raise InputError(
            f"The prompts are {list(input_ids.shape)} and {list(donor_ids.shape)} tokens [b s]; patching puts a "
            "position in the place of the same position, so give both the same shape."
        )
    with record(model, [*names, "logits"]) as own:
        model(input_ids)
    with record(model, names) as donor:
        model(donor_ids)
    start = measure(own["logits"])  # b
    moved = torch.zeros(len(names), input_ids.shape[1], len(start))  # l s b
    for row, name in enumerate(names):
        differs = (own[name] != donor[name]).flatten(2).any(-1).any(0)  # s
        for position in differs.nonzero()[:, 0].tolist():
            moved[row, position] = measure(patched(model, input_ids, name, donor[name], position)) - start
    return moved
