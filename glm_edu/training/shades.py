"""Attention weights as text, a letter each: maps of many training steps fit into a page.

The letter is the root of the weight in 63rds, so that small weights keep their differences. At worst a weight moves by
about a hundredth.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase, digits

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError

LETTERS = ascii_uppercase + ascii_lowercase + digits + "+/"  # the 64 of base64, from 0 to 63
_VALUES = {letter: value for value, letter in enumerate(LETTERS)}


def pack(probs: Float[Tensor, "n q k"]) -> list[str]:
    """Each head as one string, row by row.

    Raises:
        InputError: a number that is no weight: not between 0 and 1.
    """
    if not bool(((probs >= 0) & (probs <= 1 + 1e-4)).all()):
        raise InputError("probs holds numbers that are not between 0 and 1, so they are not attention weights.")
    roots = (63 * probs.double().clamp(max=1).sqrt()).round().int()  # n q k
    return ["".join(LETTERS[value] for value in head) for head in roots.flatten(1).tolist()]


def unpack(heads: Sequence[str], queries: int) -> Float[Tensor, "n q k"]:
    """The weights of packed heads of so many rows; ``pack`` gives the same letters again.

    Raises:
        InputError: a letter that ``pack`` does not write, or heads that are not ``queries`` rows long.
    """
    lengths = {len(head) for head in heads}
    if len(lengths) != 1 or min(lengths) % queries or set("".join(heads)) - {*LETTERS}:
        raise InputError(f"heads is not what pack() makes of heads with {queries} rows.")
    values = torch.tensor([[_VALUES[letter] for letter in head] for head in heads])
    return (values / 63).square().view(len(heads), queries, -1)
