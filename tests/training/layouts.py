"""Reads GLM's layout back into the text that it was made of, without the code that made it."""

from __future__ import annotations

from torch import Tensor

from glm_edu.text.characters import CharacterTokenizer

IGNORED = -100


def part_a(ids: Tensor, tokenizer: CharacterTokenizer) -> int:
    """How many tokens stand before Part B, which begins with the first <sop>."""
    return ids.tolist().index(tokenizer.sop_id)


def rebuilt(ids: Tensor, positions: Tensor, labels: Tensor, tokenizer: CharacterTokenizer) -> list[int]:
    """The text: Part A, with each mask token replaced by what is predicted for its position."""
    end = part_a(ids, tokenizer)
    answers: dict[int, list[int]] = {}
    for label, place in zip(labels.tolist(), positions[0].tolist(), strict=True):
        if label not in (IGNORED, tokenizer.eop_id):
            answers.setdefault(place, []).append(label)
    text = []
    for place, token in enumerate(ids[:end].tolist()):
        filled = token in (tokenizer.mask_id, tokenizer.gmask_id)
        text += answers.pop(place) if filled else [token]
    assert not answers, "something is predicted where no mask stands"
    return text
