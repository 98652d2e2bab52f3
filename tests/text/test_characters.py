"""The tokenizer of Tang GLM: one id a character, ChatGLM-6B's special tokens, and errors that name the character.

Mutations that must fail here: [gMASK] is appended always; never; <sop> in front; the ids of [MASK] and
[gMASK] swapped; an unknown character becomes <unk> unasked; <eop> leaves text.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glm_edu import Transformer, load_tokenizer
from glm_edu.errors import CheckpointError, InputError
from glm_edu.text import Tokenizer
from glm_edu.text.characters import SPECIALS, CharacterTokenizer
from glm_edu.training.vocabulary import tang_tokenizer

# ids:     0        1       2    3    4    5    6    7    8     9         10        11       12
TOKENS = ["<unk>", "<pad>", "，", "。", "床", "前", "看", "月", "光", "[MASK]", "[gMASK]", "<sop>", "<eop>"]
MASK, GMASK, SOP, EOP = 9, 10, 11, 12
SMALL = CharacterTokenizer(TOKENS)


# encode


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("床前看月光", [4, 5, 6, 7, 8, GMASK, SOP]),  # no mask: the rest of the text is asked for
        ("床[MASK]看", [4, MASK, 6, SOP]),
        ("床前[gMASK]", [4, 5, GMASK, SOP]),
        ("[MASK]", [MASK, SOP]),
        ("[gMASK]", [GMASK, SOP]),
        ("床[MASK]，[MASK]光。", [4, MASK, 2, MASK, 8, 3, SOP]),
        ("床[MASK]前[gMASK]", [4, MASK, 5, GMASK, SOP]),
    ],
)
def test_a_prompt_ends_with_sop_and_has_a_mask(text: str, ids: list[int]) -> None:
    assert SMALL.encode(text) == ids


@pytest.mark.parametrize(
    ("text", "ids"), [("床前看月光", [4, 5, 6, 7, 8]), ("床[MASK]看", [4, MASK, 6]), ("[gMASK]", [GMASK])]
)
def test_without_special_tokens_the_text_alone_is_left(text: str, ids: list[int]) -> None:
    assert SMALL.encode(text, add_special_tokens=False) == ids


@pytest.mark.parametrize("special", [True, False])
def test_an_empty_text_is_refused(special: bool) -> None:
    with pytest.raises(InputError, match="at least one character"):
        SMALL.encode("", add_special_tokens=special)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("床龍光龘龍", "'龍', '龘'"),  # each once
        ("床前\n看月", r"'\\n'"),
        ("床前 看月", "' '"),
        ("床前,", "','"),
        ("[mask]", r"'\[', '\]', 'a', 'k', 'm', 's'"),
        ("床<sop>", "'<', '>', 'o', 'p', 's'"),
    ],
)
def test_characters_that_it_does_not_have_are_named(text: str, named: str) -> None:
    with pytest.raises(InputError, match=rf"of 13 tokens does not have {named}\. Tang GLM knows .*allow_unknown=True"):
        SMALL.encode(text)


def test_unknown_characters_become_unk_when_that_is_asked_for() -> None:
    assert SMALL.encode("床龍光", allow_unknown=True) == [4, 0, 8, GMASK, SOP]
    assert SMALL.decode(SMALL.encode("床龍光", allow_unknown=True)) == "床□光"


# decode


def test_special_tokens_leave_no_text_but_unk() -> None:
    assert SMALL.decode(range(13)) == "□，。床前看月光"
    assert SMALL.decode([]) == ""


def test_ids_may_be_a_tensor(unchecked: None) -> None:
    assert SMALL.decode(torch.tensor([4, 5, EOP])) == "床前"


@pytest.mark.parametrize("bad", [-1, 13])
def test_unknown_ids_are_refused(bad: int) -> None:
    with pytest.raises(InputError, match=f"no token {bad}; ids run from 0 to 12"):
        SMALL.decode([4, bad])


@given(st.text(alphabet="，。床前看月光", min_size=1))
def test_text_comes_back(text: str) -> None:
    assert SMALL.decode(SMALL.encode(text)) == text
    assert len(SMALL.encode(text, add_special_tokens=False)) == len(text)


# the vocabulary


@pytest.mark.parametrize("special", SPECIALS)
def test_a_vocabulary_without_a_special_token_is_refused(special: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        CharacterTokenizer([token for token in TOKENS if token != special])
    assert str(caught.value) == f"The vocabulary has no {special}."


def test_a_token_that_is_there_twice_is_refused() -> None:
    with pytest.raises(CheckpointError, match="holds '月' twice"):
        CharacterTokenizer([*TOKENS, "月"])


def test_specials_are_known_by_their_names() -> None:
    assert [SMALL.unk_id, SMALL.pad_id, SMALL.mask_id, SMALL.gmask_id, SMALL.sop_id, SMALL.eop_id] == [
        TOKENS.index(token) for token in SPECIALS
    ]


def test_it_is_a_tokenizer_like_the_others() -> None:
    assert isinstance(SMALL, Tokenizer)


def test_a_vocabulary_is_written_and_read_back(tmp_path: Path) -> None:
    SMALL.save(tmp_path / "vocab.txt")
    assert (tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines() == TOKENS
    tokenizer = load_tokenizer(tmp_path)
    assert isinstance(tokenizer, CharacterTokenizer) and list(tokenizer.tokens) == TOKENS


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe<unk>", "can't decode"), (b"", "has no <unk>"), ("<unk>\n床\n床\n".encode(), "has no <pad>")],
)
def test_a_broken_file_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"vocab\.txt cannot be read: .*{said}.* Copy it again"):
        load_tokenizer(tmp_path)


# with the network that ships


def test_what_encode_gives_is_all_that_the_network_needs() -> None:
    tokenizer, model = load_tokenizer("tang-glm"), Transformer.from_pretrained("tang-glm")
    assert isinstance(tokenizer, CharacterTokenizer) and tokenizer.tokens == tang_tokenizer().tokens
    for text in ("白日依山尽，黄河入海流。", "白日依山尽，[MASK]入海流。"):
        ids = torch.tensor([tokenizer.encode(text)])
        logits = model(ids)
        assert logits.shape == (1, ids.shape[1], len(tokenizer)) and logits.isfinite().all()
