"""GLM's objective: cut blanks out of a text, and write them behind it one token at a time.

What is left of the text, with a mask token in each blank's place, is Part A: its tokens see each other both ways. The
blanks follow as Part B: each begins with <sop>, ends with <eop>, and sees Part A and what stands before it in Part B.
Two positions say where a token of Part B belongs: the position of its mask in Part A, and a count inside the blank
that starts at 1 with <sop>. Du et al. 2022, sections 2.1 and 2.2.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), get_masks and get_position_ids, which know one blank; for one
blank the model computes the same positions and mask from the ids alone.
Differs: the fine-tuning script of ChatGLM-6B also has <sop> predicted; here, as in the paper, only the blank and <eop>.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.loss import IGNORED_LABEL
from glm_edu.model.masks import prefix_mask
from glm_edu.text.characters import CharacterTokenizer


class Example(NamedTuple):
    """One corrupted text. ``labels[i]`` is ``ids[i]`` where it is predicted (from what stands before it), else -100."""

    ids: Int[Tensor, " s"]
    positions: Int[Tensor, "2 s"]
    mask: Bool[Tensor, "s s"]
    labels: Int[Tensor, " s"]


def corrupt(
    poem: Sequence[int],
    blanks: Sequence[tuple[int, int]],
    tokenizer: CharacterTokenizer,
    mask: str = "[MASK]",
) -> Example:
    """Cut ``blanks`` out of ``poem`` and lay both out as ChatGLM-6B reads them.

    Args:
        poem: ids, without special tokens.
        blanks: (start, length) of each, in the order in which Part B fills them; the paper shuffles it.
        mask: what stands in a blank's place: "[MASK]", or "[gMASK]" for one blank that is the rest of the text.

    Raises:
        InputError: an empty poem, special tokens in it, or blanks that are empty, overlap, or do not fit.
    """
    check_blanks(poem, blanks, tokenizer, mask)
    part_a, places = cut(poem, blanks, tokenizer.ids[mask])
    ids, labels = list(part_a), [IGNORED_LABEL] * len(part_a)
    # the two clocks: where in the text, and where inside the blank
    first, second = list(range(len(part_a))), [0] * len(part_a)
    for (start, length), place in zip(blanks, places, strict=True):
        answer = [*poem[start : start + length], tokenizer.eop_id]
        ids += [tokenizer.sop_id, *answer]
        labels += [IGNORED_LABEL, *answer]
        first += [place] * (length + 2)
        second += range(1, length + 3)
    positions = torch.tensor([first, second])
    visible = prefix_mask(len(part_a), len(ids))
    return Example(torch.tensor(ids), positions, visible, torch.tensor(labels))


def cut(poem: Sequence[int], blanks: Sequence[tuple[int, int]], mask_id: int) -> tuple[list[int], list[int]]:
    """Part A, and the index in it of each blank's mask token, in the order of ``blanks``."""
    part_a: list[int] = []
    place, end = {}, 0
    for start, length in sorted(blanks):
        part_a += poem[end:start]
        place[start], end = len(part_a), start + length
        part_a.append(mask_id)
    return part_a + list(poem[end:]), [place[start] for start, _ in blanks]


def check_blanks(
    poem: Sequence[int], blanks: Sequence[tuple[int, int]], tokenizer: CharacterTokenizer, mask: str
) -> None:
    """Raise an InputError that names what ``corrupt`` cannot use."""
    if mask not in ("[MASK]", "[gMASK]"):
        raise InputError(f"mask={mask!r} may be '[MASK]' or '[gMASK]'.")
    if not poem:
        raise InputError("The poem is empty; there is nothing to blank.")
    specials = {tokenizer.mask_id, tokenizer.gmask_id, tokenizer.sop_id, tokenizer.eop_id, tokenizer.pad_id}
    if bad := next((token for token in poem if token in specials or not 0 <= token < len(tokenizer)), None):
        raise InputError(f"Token {bad} is no character; give corrupt the ids of the text alone.")
    if not blanks:
        raise InputError("corrupt needs at least one blank, (start, length).")
    end = 0
    for start, length in sorted(blanks):
        if length < 1:
            raise InputError(f"The blank ({start}, {length}) is empty; its length must be at least 1.")
        if start < 0 or start + length > len(poem):
            raise InputError(f"The blank ({start}, {length}) does not fit a poem of {len(poem)} tokens.")
        if start < end:
            raise InputError(f"The blank at {start} overlaps the one that ends at {end}.")
        end = start + length
    if mask == "[gMASK]" and (len(blanks) > 1 or end < len(poem)):
        raise InputError(f"[gMASK] stands for the rest of the text: one blank that ends at {len(poem)}.")
