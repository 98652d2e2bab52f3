"""Form, rhyme and copies: right on poems with known answers, and the stored results are those of the shipped model.

Tried mutations, each of which fails here: a poem without <eop> has the right form; only the number of marks is checked;
the control pairs a poem with itself, or with its own copy in a resample; line 1 counts as generated; <unk> may be
sampled; the longest run is one too short.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glm_edu import Transformer, record
from glm_edu.errors import InputError
from glm_edu.training import quality, results
from glm_edu.training.bootstrap import mean_interval, percentiles, resampled, share_interval
from glm_edu.training.held_out import held_out
from glm_edu.training.poems import poems
from glm_edu.training.quality import (
    POINTS,
    Sampling,
    form,
    lines_of,
    longest_shared,
    measure_copies,
    measure_form,
    measure_rhyme,
    quality_table,
    right_poems,
    write_on,
)
from glm_edu.training.results import load
from glm_edu.training.rhymes import rhymes
from glm_edu.training.rounding import rounded
from glm_edu.training.settings import TANG_GLM
from glm_edu.training.vocabulary import tang_tokenizer

NIGHT = "床前看月光，疑是地上霜。举头望山月，低头思故乡。<eop>"  # 光 霜 乡
STORKS = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。<eop>"  # 流 楼
SPRING = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。<eop>"  # 晓 鸟 少
CROSSED = "床前看月光，疑是地上霜。欲穷千里目，更上一层楼。<eop>"  # 霜 楼


# form


@pytest.mark.parametrize("poem", [NIGHT, STORKS, SPRING])
def test_known_poems_have_the_right_form(poem: str) -> None:
    assert all(form(poem, 5).values())
    assert not form(poem, 7)["all of it"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (NIGHT.replace("霜", ""), [1]),
        (NIGHT.replace("低头思故乡。", ""), [0, 2]),
        (NIGHT.replace("<eop>", "举头望山月，<eop>"), [0, 2]),
        (NIGHT.replace("霜。", "霜，"), [2]),
        (NIGHT.replace("乡。", "乡"), [2]),
        (NIGHT.replace("疑是", "，疑是"), [2]),
        (NIGHT.removesuffix("<eop>"), [3]),
        (NIGHT.replace("霜", "[MASK]"), [1]),
    ],
)
def test_each_fault_of_form_is_seen_where_it_is(text: str, wrong: list[int]) -> None:
    found = form(text, 5)
    assert [point for point in POINTS[:4] if not found[point]] == [POINTS[i] for i in wrong]
    assert not found["all of it"]


def test_shares_of_form_are_counted_over_poems() -> None:
    found = measure_form([NIGHT, STORKS, SPRING, NIGHT.replace("霜", "")])
    assert found["all of it"] == found["every line as long as the first"] == 0.75
    assert found["four lines or eight"] == found["quatrains"] == 1.0
    low, high = found["interval"]
    assert low < 0.75 < high


def test_only_poems_of_the_right_form_are_compared() -> None:
    assert right_poems([NIGHT, NIGHT.replace("霜", ""), STORKS]) == [NIGHT, STORKS]
    with pytest.raises(InputError, match="there are 1 of them"):
        measure_rhyme([NIGHT])


def test_eight_lines_are_as_right_as_four_and_told_apart() -> None:
    eight = NIGHT.removesuffix("<eop>") + STORKS
    assert all(form(eight, 5).values())
    six = eight.replace("白日依山尽，黄河入海流。", "")
    assert not (form(six, 5)["four lines or eight"] or form(six, 5)["punctuation"])
    assert measure_form([eight, NIGHT, STORKS, SPRING])["quatrains"] == 0.75


# rhyme


def test_rhyme_and_its_control_by_hand() -> None:
    """Line 2 / line 4: 霜乡, 流楼, 鸟少, 霜楼. Own pairs: three of four rhyme. Others: 霜 with 乡, and 流 with 楼."""
    found = measure_rhyme([NIGHT, STORKS, SPRING, CROSSED])
    assert found["poems"] == 4
    assert found["rate"] == pytest.approx(3 / 4)
    assert found["control"] == pytest.approx(2 / 12)
    assert found["ratio"] == pytest.approx(4.5)


def test_the_control_is_the_mean_over_all_shuffles() -> None:
    texts = [NIGHT, STORKS, SPRING, CROSSED]
    ends = [(lines_of(text)[1][-1], lines_of(text)[3][-1]) for text in texts]
    pairs = [(one, other) for one, other in itertools.permutations(range(4), 2)]
    brute = sum(rhymes(ends[one][0], ends[other][1]) for one, other in pairs) / len(pairs)
    assert measure_rhyme(texts)["control"] == pytest.approx(brute)


def test_a_resample_never_pairs_a_poem_with_its_own_copy() -> None:
    """Poems that rhyme in themselves and with no other: however they are drawn, the control is 0."""
    only = [NIGHT, STORKS, SPRING]
    found = measure_rhyme([*only, *(text.replace("霜", "天").replace("乡", "年") for text in only[:1])])
    assert found["rate"] == 1.0
    assert found["control"] == 0.0
    assert found["control interval"][1] == 0.0


# copies


def test_lines_of_a_training_poem_are_copies_and_the_given_line_does_not_count() -> None:
    old = next(poem for poem in poems("train") if poem.form == "4x5")
    found = measure_copies([old.text + "<eop>"])
    assert found["share"] == 1.0 and found["copied"] == found["lines"] == 3
    assert found["longest run"] == 15
    mixed = f"{old.lines[0]}，甲乙丙丁戊。{old.lines[2]}，己庚辛壬癸。<eop>"
    assert measure_copies([mixed])["copied"] == 1


@given(st.lists(st.text("ab", max_size=7), min_size=1, max_size=4), st.lists(st.text("abc", max_size=7), max_size=4))
def test_the_longest_shared_run_is_that_of_a_plain_search(texts: list[str], others: list[str]) -> None:
    def plain(text: str) -> int:
        parts = {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
        return max((len(part) for part in parts if any(part in other for other in others)), default=0)

    assert longest_shared(texts, others) == [plain(text) for text in texts]


# writing


@pytest.fixture(scope="module")
def shipped() -> Transformer:
    return Transformer.from_pretrained("tang-glm")


@pytest.fixture(scope="module")
def stored() -> dict:
    return load("quality")


def test_a_poem_is_written_on_from_its_first_line_the_same_each_time() -> None:
    model, lines = Transformer(TANG_GLM).eval(), ["床前看月光", "白日依山尽"]
    once, again = (write_on(model, tang_tokenizer(), lines, Sampling(seed=3)) for _ in range(2))
    assert once == again != write_on(model, tang_tokenizer(), lines, Sampling(seed=4))
    assert [text.split("，")[0] for text in once] == lines


def test_an_unknown_character_is_never_written() -> None:
    model, tokenizer = Transformer(TANG_GLM).eval(), tang_tokenizer()
    want = {"logits": lambda logits: logits.index_fill(-1, torch.tensor([tokenizer.unk_id]), 50.0)}
    with record(model, [], replace=want):
        assert not any("<unk>" in text for text in write_on(model, tokenizer, ["床前看月光"]))


def test_what_stands_behind_the_end_is_left_out() -> None:
    model, tokenizer = Transformer(TANG_GLM).eval(), tang_tokenizer()
    want = {"logits": lambda logits: logits.index_fill(-1, torch.tensor([tokenizer.eop_id]), 50.0)}
    with record(model, [], replace=want):
        assert write_on(model, tokenizer, ["床前看月光"] * 2) == ["床前看月光，<eop>"] * 2


@pytest.mark.parametrize("lines", [[], ["床前看月光", "月落乌啼霜满天"]])
def test_lines_of_several_lengths_are_no_batch(lines: list[str]) -> None:
    with pytest.raises(InputError, match="all of one length"):
        write_on(Transformer(TANG_GLM), tang_tokenizer(), lines)


def test_first_lines_are_of_test_poems_that_the_model_can_read() -> None:
    known = tang_tokenizer().ids
    for poem in held_out("4x7", 30, lines=1):
        assert poem.split == "test" and poem.form == "4x7" and set(poem.lines[0]) <= known.keys()
    assert all(set(poem.text) <= known.keys() for poem in held_out("8x5", 30))
    assert len(held_out("4x5", 7)) == 7


# intervals and rounding


def test_intervals_hold_the_mean_and_shrink_with_the_root_of_the_number() -> None:
    draw = torch.Generator().manual_seed(1)
    few, many = (torch.rand(n, generator=draw) for n in (50, 800))
    widths = [high - low for low, high in (mean_interval(few), mean_interval(many))]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.2)
    assert widths[0] == pytest.approx(2 * 1.96 * few.std().item() / 50**0.5, rel=0.1)
    assert mean_interval(few)[0] < few.mean() < mean_interval(few)[1]
    assert resampled(9).sum(1).eq(9).all()
    assert percentiles(torch.arange(1001.0)) == (25.0, 975.0)


def test_a_share_of_all_or_nothing_is_not_certain() -> None:
    """By the formula of Wilson 1927, worked out by hand: 10 of 10 is 1 / (1 + 3.8416 / 10) to 1."""
    assert share_interval(10, 10) == pytest.approx((1 / 1.38416, 1.0))
    assert share_interval(0, 10) == pytest.approx((0.0, 0.38416 / 1.38416))
    assert share_interval(500, 1000) == pytest.approx((0.5 - 0.0309, 0.5 + 0.0309), abs=1e-4)
    with pytest.raises(InputError, match="11 hits of 10"):
        share_interval(11, 10)


def test_rounding_reaches_every_float() -> None:
    assert rounded({"a": [1.23456, (2, "x")], "b": True}) == {"a": [1.2346, [2, "x"]], "b": True}


# what is stored


def test_stored_rates_are_those_of_the_stored_poems(stored: dict) -> None:
    texts, counts = stored["texts"], stored["settings"]["poems"]
    assert len(texts) == sum(counts.values())
    right = right_poems(texts)
    assert rounded(measure_form(texts)) == stored["form"]["both"]
    assert rounded(measure_rhyme(right)) == stored["rhyme"]["generated"]
    assert rounded(measure_copies(right)) == stored["copies"]["generated"]
    table = quality_table(stored)
    assert f"{stored['form']['both']['all of it']:.1%}" in table
    assert f"{stored['rhyme']['generated']['ratio']:.2f}" in table


def test_the_shipped_model_writes_the_stored_poems(shipped: Transformer, stored: dict) -> None:
    """Nine of ten: on another processor a sum may round otherwise, and a poem then takes another turn."""
    given = held_out("4x5", stored["settings"]["poems"]["4x5"], lines=1)
    written = write_on(shipped, tang_tokenizer(), [poem.lines[0] for poem in given])
    same = sum(one == other for one, other in zip(written, stored["texts"], strict=False))
    assert same >= 0.9 * len(given)


def test_the_command_prints_and_stores(
    stored: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(quality, "measure_quality", lambda model: stored)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert quality.main([]) == 0 and not list(tmp_path.iterdir())
    assert quality.main(["--write"]) == 0 and load("quality") == stored
    assert capsys.readouterr().out.count("rhyme of lines 2 and 4") == 2
