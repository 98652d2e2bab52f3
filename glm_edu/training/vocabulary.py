"""The characters that Tang GLM knows: the commonest of the training split."""

from __future__ import annotations

from collections import Counter
from functools import cache

from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.poems import poems

CHARACTERS = 3000
PUNCTUATION = ("，", "。")


@cache
def tang_tokenizer() -> CharacterTokenizer:
    """<unk>, <pad>, ， and 。, 3,000 characters from common to rare, and [MASK], [gMASK], <sop>, <eop> at the end.

    The specials stand at the same ends as in ChatGLM-6B's vocabulary. Only the training split is counted.
    """
    counts = Counter(character for poem in poems("train") for line in poem.lines for character in line)
    common = sorted(counts, key=lambda character: (-counts[character], character))[:CHARACTERS]
    return CharacterTokenizer(("<unk>", "<pad>", *PUNCTUATION, *common, "[MASK]", "[gMASK]", "<sop>", "<eop>"))
