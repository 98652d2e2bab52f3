"""Which blanks a model is tested on: the same for every model, and for a poem whichever others are tested."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.batches import line_spans
from glm_edu.training.both_sides import REACH, Sites
from glm_edu.training.poems import Poem
from glm_edu.training.vocabulary import PUNCTUATION

CONTINUATION = "continuation"
LENGTHS = {"1 character": 1, "2 characters": 2, "a line": None}
TASKS = (*LENGTHS, CONTINUATION)
ONES = 2  # blanks of one character a poem, each a text of its own


class Blank(NamedTuple):
    """``poem`` counts from 0; ``start`` and ``length`` are characters of its text."""

    poem: int
    start: int
    length: int


def draw_blanks(poems: Sequence[Poem], task: str, seed: int = 0) -> list[Blank]:
    """The blanks of one task, in the order of the poems.

    One or two characters lie within a line that is drawn with their place in it, or the blank is the line. A poem has
    two blanks of one character, each in a text of its own, and one of the others. A continuation is all that follows
    the second line. What is drawn depends on the seed and the poem alone.
    """
    blanks = []
    for number, poem in enumerate(poems):
        draw, spans = random.Random(f"{seed} {task} {poem.text}"), line_spans(poem)
        if task == CONTINUATION:
            blanks.append(Blank(number, spans[2][0], len(poem.text) - spans[2][0]))
            continue
        for start, width in draw.sample(spans, ONES if LENGTHS[task] == 1 else 1):
            length = LENGTHS[task] or width
            blanks.append(Blank(number, start + draw.randint(0, width - length), length))
    return blanks


def is_counted(tokenizer: CharacterTokenizer) -> Array:
    """Which ids are counted as answers: the characters, without punctuation, <unk> and the other specials."""
    return np.array([len(token) == 1 and token not in PUNCTUATION for token in tokenizer.tokens])


def sites_of(texts: Sequence[Sequence[int]], blanks: Sequence[Blank], tokenizer: CharacterTokenizer) -> Sites:
    """Every counted character of the blanks with what an n-gram may see of the text around its blank."""
    counted, rows = is_counted(tokenizer), []
    for number, start, length in blanks:
        text = [*[tokenizer.sop_id] * REACH, *texts[number], tokenizer.eop_id, *[tokenizer.pad_id] * REACH]
        end = start + length + REACH  # of the blank, in ``text``
        right = text[end : end + REACH]
        for i in range(start + REACH, end):
            if counted[text[i]]:
                rows.append((number, text[i - REACH : i], right, end - i, text[i]))
    return Sites(*map(np.array, zip(*rows, strict=True)))
