"""Text to ids and back, on a tokenizer made here; the real one of SmolLM2 is tested in tests/smollm2."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from glm_edu import load_tokenizer
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, InputError
from glm_edu.text.json_file import JsonTokenizer


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A checkpoint directory with a tokenizer of single bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize("text", ["a", "The white sun", "白日依山尽，", " two  blanks\n\ttab", "😀"])
def test_text_comes_back(directory: Path, text: str) -> None:
    tokenizer = load_tokenizer(directory)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text.encode())  # one id a byte: nothing was merged or dropped
    assert tokenizer.decode(ids) == text


def test_special_tokens_leave_no_text(directory: Path) -> None:
    tokenizer = load_tokenizer(str(directory))
    ids = tokenizer.encode("a<end>")
    assert ids == [*tokenizer.encode("a"), 256]
    assert tokenizer.decode(ids) == "a"


def test_encode_needs_a_text(directory: Path) -> None:
    with pytest.raises(InputError, match="at least one character"):
        load_tokenizer(directory).encode("")


def test_unknown_ids_are_refused(directory: Path) -> None:
    with pytest.raises(InputError, match="no token 257; ids run from 0 to 256"):
        load_tokenizer(directory).decode([1, 257])


def test_a_tokenizer_json_comes_before_a_list_of_characters(directory: Path) -> None:
    (directory / "vocab.txt").write_text("<unk>\n")
    assert isinstance(load_tokenizer(directory), JsonTokenizer)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"has no tokenizer\.json, .*ice_text\.model \(and no vocab"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="Fetch it again"):
        load_tokenizer(tmp_path)
