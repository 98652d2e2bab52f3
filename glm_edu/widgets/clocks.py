"""Move the place where an answer stands: the first clock follows, and so does what Tang GLM writes."""

from __future__ import annotations

import torch
from ipywidgets import IntSlider

from glm_edu import Transformer, load_tokenizer
from glm_edu.errors import InputError
from glm_edu.figures import Figure, position_table
from glm_edu.figures.palette import WORDS
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.glosses import gloss
from glm_edu.training.place import clocks_at, fill_at
from glm_edu.widgets.explorer import Explorer

TWO_BLANKS = "白日依山[MASK]，黄河入海流。欲穷千里目，更上一层[MASK]。"  # the sun has set; one storey more


def explore_clocks(text: str = TWO_BLANKS) -> Explorer:
    """A slider for the position of the answer, and what Tang GLM writes there. ``text`` holds one [MASK] or more.

    Raises:
        InputError: a text without [MASK], or characters that the tokenizer does not have.
    """
    if "[MASK]" not in text:
        raise InputError(f"{text!r} holds no [MASK], so there is nothing to fill.")
    model, tokenizer = Transformer.from_pretrained("tang-glm"), load_tokenizer("tang-glm")
    assert isinstance(tokenizer, CharacterTokenizer)
    prompt, words = torch.tensor([tokenizer.encode(text)]), WORDS["clock_plane"]
    context = prompt.shape[1] - 1

    def draw(place: int) -> Figure:
        written = fill_at(model, prompt, place)
        ids = torch.cat([prompt, torch.tensor([written], dtype=torch.long)], dim=1)  # 1 t
        tokens = [tokenizer.tokens[i] for i in ids[0].tolist()]
        answer = tokens[context + 1 :]
        caption = words["writes"].format(text="".join(answer), gloss=", ".join(gloss(answer)))
        return position_table(clocks_at(ids, context, place)[0], tokens, caption=caption)

    start = int((prompt[0] == tokenizer.mask_id).int().argmax())
    return Explorer(draw, place=IntSlider(value=start, min=0, max=context - 1, description=words["stands"]))
