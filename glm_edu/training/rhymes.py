"""Which characters rhyme, by how they are said today: the same vowel and ending, whatever glide stands before it.

The groups are those of the New Rhymes of 2005 (中华新韵), which go by Mandarin; tones do not count. A Tang poet rhymed
by the sounds of the seventh century. Modern finals miss some of those rhymes (斜 and 家 once rhymed) and find some that
were none (characters that ended in -p, -t and -k now end in vowels); and a character with several readings is given its
commonest (还 at the end of a line is huan, and counts as hai). So the rate in real poems, not 100 %, is the most that a
model of them can be asked for.
"""

from __future__ import annotations

from functools import cache

GROUPS = {
    "a": ("a", "ia", "ua"),
    "o": ("o", "e", "uo"),
    "ie": ("ie", "ve"),
    "ai": ("ai", "uai"),
    "ei": ("ei", "uei"),
    "ao": ("ao", "iao"),
    "ou": ("ou", "iou"),
    "an": ("an", "ian", "uan", "van"),
    "en": ("en", "in", "uen", "vn"),
    "ang": ("ang", "iang", "uang"),
    "eng": ("eng", "ing", "ueng", "ong", "iong"),
    "i": ("i", "er", "v"),
    "zhi": ("zhi",),  # the buzzing vowel of 知, 诗, 日, 资, written i
    "u": ("u",),
}
GROUP = {final: group for group, finals in GROUPS.items() for final in finals}
BUZZING = ("zh", "ch", "sh", "r", "z", "c", "s")


@cache
def rhyme_group(character: str) -> str | None:
    """The group of the character's commonest reading; None where it has none (punctuation, a special token)."""
    from pypinyin import Style, lazy_pinyin  # here: only those who measure rhyme need it

    initial, final = (lazy_pinyin(character, style=style)[0] for style in (Style.INITIALS, Style.FINALS))
    return GROUP.get("zhi" if final == "i" and initial in BUZZING else final)


def rhymes(one: str, other: str) -> bool:
    """Whether two characters rhyme. A character does not rhyme with itself: that is a repetition."""
    return one != other and rhyme_group(one) is not None and rhyme_group(one) == rhyme_group(other)
