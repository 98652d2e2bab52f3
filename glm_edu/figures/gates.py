"""Gates: how far each unit of a feed-forward is open for each token, as a table of percents."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.effects import effect_map
from glm_edu.figures.figure import Figure, fill
from glm_edu.model.activations import ACTIVATIONS
from glm_edu.model.feedforward import FeedForward


def openings(feedforward: FeedForward, normed: Float[Tensor, "*b h"]) -> Float[Tensor, "*b f"]:
    """The part of its number that each unit lets through, 0 to 1: ``act(z) / z``.

    ``z`` is ``gate(x)`` where there is a gate, and ``up(x)`` where the number decides about itself. For SiLU that part
    is the sigmoid of z, for GELU the chance that a standard normal variable lies below z.

    Args:
        normed: what the feed-forward reads, ``blocks.{i}.post_attention_norm`` of a recording.
    """
    z = (feedforward.gate or feedforward.up)(normed)  # *b f
    small = z.abs() < 1e-3  # 0 has no quotient; near it every gate is half open
    passed = ACTIVATIONS[feedforward.activation](z) / z.masked_fill(small, 1.0)
    return torch.where(small, torch.full_like(z, 0.5), passed)


def gate_strip(
    opened: Float[Tensor, "s f"], units: Sequence[int], tokens: Sequence[str], *, caption: str = "", title: str = ""
) -> Figure:
    """A row for each of ``units``, a column for each token, the percent that the unit is open.

    Raises:
        InputError: tokens that do not fit, units that are not there, or numbers that are NaN or infinite.
    """
    if not units or not all(0 <= unit < opened.shape[1] for unit in units):
        raise InputError(f"units are {[*units]}; give at least one of 0 to {opened.shape[1] - 1}.")
    rows = [fill("gates", "row", u=unit) for unit in units]
    values = {"": opened[:, list(units)].T}
    return effect_map(
        values, rows, {"": tokens}, told=fill("gates", "told"), unit=0.01, chosen="", caption=caption, title=title
    )
