"""Rhyme by modern finals, on poems that everybody knows.

Tried mutations, each of which fails here: glides count (-ian and -an apart); 知 and 衣 in one group; a character rhymes
with itself; two characters without a reading rhyme.
"""

from __future__ import annotations

import pytest

from glm_edu.training.rhymes import GROUP, GROUPS, rhyme_group, rhymes


@pytest.mark.parametrize("ends", ["光霜乡", "流楼", "间山", "人亲", "归飞微", "花家沙", "深心金", "知时诗", "来开"])
def test_ends_of_known_poems_rhyme(ends: str) -> None:
    assert all(rhymes(one, other) for one in ends for other in ends if one != other)


@pytest.mark.parametrize("pair", ["光流", "知衣", "人门情", "鱼夫", "歌月"])
def test_others_do_not(pair: str) -> None:
    assert not rhymes(pair[0], pair[-1])


def test_tang_rhymes_that_modern_readings_miss() -> None:
    """斜 and 家 end lines of one poem by Du Mu, 还 and 山 of one by Li Bai; 还 is read hai where it stands alone."""
    assert not rhymes("斜", "家")
    assert not rhymes("还", "山")


def test_a_character_does_not_rhyme_with_itself() -> None:
    assert rhyme_group("光") == "ang"
    assert not rhymes("光", "光")


@pytest.mark.parametrize("sign", ["，", "。", "]", "□"])
def test_what_has_no_reading_rhymes_with_nothing(sign: str) -> None:
    assert rhyme_group(sign) is None
    assert not rhymes(sign, "x")
    assert not rhymes(sign, "光")


def test_each_final_is_in_one_group() -> None:
    assert len(GROUP) == sum(len(finals) for finals in GROUPS.values())
