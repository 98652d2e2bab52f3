"""Tokenizer files that are cut, damaged or only stand for others: the error says which, and what to do.

Mutations that must fail here: a pointer handed to SentencePiece; the size not compared; the hash not compared; a file
that was cut between two pieces taken as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st

from glm_edu import load_tokenizer
from glm_edu.errors import CheckpointError, GLMError, InputError
from glm_edu.parity.made_tokenizers import CONTROL, NORMAL, UNIGRAM, UNKNOWN, identity, model, with_bytes
from glm_edu.text import sentencepiece_file
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.cleaning import tool_arguments

SIZES = {"ice_text.model": 2_706_249, "tokenizer.model": 1_018_370}
BEGIN = {0: ("<unk>", 0.0, UNKNOWN), 1: ("<s>", 0.0, CONTROL), 2: ("</s>", 0.0, CONTROL)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:5e97\nsize 2706249\n"
Directory = Callable[..., Path]


@pytest.mark.parametrize("name", SIZES)
def test_a_pointer_is_named(directory_with: Directory, name: str) -> None:
    directory = directory_with(**{name: POINTER}, config__json={"_name_or_path": "THUDM/chatglm2-6b"})
    with pytest.raises(
        CheckpointError, match=rf"{name} is a Git LFS pointer \(72 bytes\).*2,706,249 bytes.*git lfs pull"
    ):
        load_tokenizer(directory)


@pytest.mark.parametrize("content", [b"", b"<html>", TINY.read_bytes()[:200_000]], ids=["empty", "page", "cut"])
@pytest.mark.parametrize("name", SIZES)
def test_a_file_that_was_cut_is_named(directory_with: Directory, name: str, content: bytes) -> None:
    directory = directory_with(**{name: content}, config__json={"_name_or_path": "THUDM/chatglm3-6b"})
    said = rf"{name} is no SentencePiece model.*{len(content):,} of the {SIZES[name]:,} bytes.*it was cut"
    with pytest.raises(CheckpointError, match=said):
        load_tokenizer(directory)


def test_a_file_of_the_published_size_is_verified(directory_with: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    content = TINY.read_bytes()
    good, bad = (hashlib.sha256(content + more).hexdigest() for more in (b"", b"x"))
    directory = directory_with(ice_text__model=content)
    monkeypatch.setitem(sentencepiece_file.PUBLISHED, "ice_text.model", (len(content), bad))
    with pytest.raises(CheckpointError, match=rf"ice_text\.model is damaged.*sha256 {good}; published were .*{bad}"):
        load_tokenizer(directory)
    monkeypatch.setitem(sentencepiece_file.PUBLISHED, "ice_text.model", (len(content), good))
    assert len(load_tokenizer(directory).encode("a")) == 4


def test_pieces_that_are_missing_are_named(directory_with: Directory) -> None:
    old = model(UNIGRAM, with_bytes(BEGIN | {3: ("<pad>", 0.0, CONTROL), 4: ("a", 0.0, NORMAL)}, 5), 261, identity())
    with pytest.raises(CheckpointError, match=r"has no \[MASK\], \[gMASK\], <sop>, .*older than April 2023.*, or cut"):
        load_tokenizer(directory_with(ice_text__model=old))


def test_a_file_that_was_cut_between_two_pieces_is_named(directory_with: Directory) -> None:
    config = {"_name_or_path": "THUDM/chatglm2-6b", "padded_vocab_size": 65024}
    cut = model(UNIGRAM, with_bytes(BEGIN, 3) | {259: ("a", 0.0, NORMAL)}, 260, identity())
    directory = directory_with(tokenizer__model=cut, config__json=config)
    with pytest.raises(CheckpointError, match=r"has 260 pieces, and a network with 65024 rows needs 64789.*it was cut"):
        load_tokenizer(directory)


def test_what_is_no_text_is_refused(standin: ChatGLMTokenizer, unchecked: None) -> None:
    with pytest.raises(InputError, match="encode needs a text, not a int"):
        standin.encode(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no token 501; ids run from 0 to 500"):
        standin.decode([501])


@given(flips=st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 255)), max_size=3), cut=st.integers(0, 10**9))
def test_a_damaged_file_loads_or_raises_our_error(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(TINY.read_bytes())
    for place, change in flips:
        content[place % len(content)] ^= change
    file = tmp_path_factory.mktemp("damaged") / "ice_text.model"
    file.write_bytes(content[: len(content) - cut % len(content)] if cut % 2 else content)
    try:
        tokenizer = ChatGLMTokenizer(file)
        assert isinstance(tokenizer.decode(tokenizer.encode("你好 world\n")), str)
    except GLMError as error:
        assert str(file) in str(error)


VALUES = st.sampled_from([None, True, 0, -1, 20000, 10**30, 0.5, "", "<|user|>", [], ["<|user|>"], {}, {"content": 3}])
KEYS = ("bos_token_id", "gmask_token_id", "num_image_tokens", "remove_space", "model_type", "padded_vocab_size",
        "_name_or_path", "name_or_path", "chat_template", "eos_token", "additional_special_tokens")  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
@given(config=st.dictionaries(st.sampled_from(KEYS), VALUES), settings=st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_odd_settings_load_or_raise_our_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, config: dict, settings: dict
) -> None:
    directory = tmp_path_factory.mktemp("odd")
    (directory / name).symlink_to(TINY)
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    try:
        tokenizer = load_tokenizer(directory)
        assert tokenizer.decode(tokenizer.encode("你好")) == "你好"
    except CheckpointError as error:
        assert str(directory) in str(error)


# calls of tools


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ("```python\ntool_call(symbol='10111', n=[1, -2.5], all=None)\n```",
         {"symbol": "10111", "n": [1, -2.5], "all": None}),
        (" ```python\ntool_call()\n```\n", {}),
        ("tool_call(a='b')", {"a": "b"}),
    ],
)  # fmt: skip
def test_arguments_of_a_call_are_read(content: str, arguments: dict) -> None:
    assert tool_arguments(content) == arguments


@pytest.mark.parametrize(
    "content",
    [
        "",
        "```python\n```",
        "tool_call('10111')",
        "tool_call(**{'a': 1})",
        "tool_call(a=open('x'))",
        "import os",
        "(" * 999,
    ],
)
def test_nothing_but_plain_values_is_read(content: str) -> None:
    with pytest.raises(InputError, match=r"Expected tool_call\(name=value, \.\.\.\) with plain values"):
        tool_arguments(content)
