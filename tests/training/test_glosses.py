"""English beside the characters: enough of them, all in our letters, in the vocabulary's order."""

from collections import Counter

from glm_edu.text.characters import SPECIALS
from glm_edu.training.build_poems import HELD_OUT
from glm_edu.training.glosses import DATA, UNKNOWN, gloss
from glm_edu.training.poems import poems

LINES = DATA.read_text(encoding="utf-8").splitlines()


def test_each_character_stands_once_with_english_words() -> None:
    characters = [line[0] for line in LINES]
    assert len(set(characters)) == len(characters)
    assert all(line[1] == " " and line[2:].strip() == line[2:] != "" and line[2:].isascii() for line in LINES)


def test_well_known_poems_have_no_gap() -> None:
    known = "".join(poem.text for poem in poems("test") if poem.text.startswith(HELD_OUT))
    assert [token for token, word in zip(known, gloss(known), strict=True) if word == UNKNOWN] == []


def test_three_of_four_characters_of_the_poems_are_there() -> None:
    counts = Counter("".join(line for poem in poems("train") for line in poem.lines))
    known = sum(counts[line[0]] for line in LINES)
    assert known > 0.75 * counts.total()


def test_marks_have_words_and_what_is_not_there_says_so() -> None:
    assert UNKNOWN not in gloss([*SPECIALS, "，", "。"])
    assert gloss("日X") == ["sun, day", UNKNOWN]
