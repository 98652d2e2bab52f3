"""Tokenizers: text becomes ids, ids become text.

A checkpoint directory with a ``tokenizer.json`` (LLaMA, GLM-4, SmolLM2) is read by the ``tokenizers`` library, one with
a ``vocab.txt`` (Tang GLM) is a list of characters. The SentencePiece files of ChatGLM-6B, 2 and 3 (``ice_text.model``,
``tokenizer.model``) have rules of their own around them and are refused until those are here: ids that are almost right
are worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Protocol, runtime_checkable

from glm_edu.checkpoints.hub import locate
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, InputError
from glm_edu.text.characters import CharacterTokenizer

SENTENCEPIECE_FILES = ("ice_text.model", "tokenizer.model")


@runtime_checkable
class Tokenizer(Protocol):
    """What every tokenizer here can do."""

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``, with the special tokens that its model expects."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens leave none."""
        ...


class JsonTokenizer:
    """A ``tokenizer.json``, by the ``tokenizers`` library."""

    def __init__(self, file: Path) -> None:
        import tokenizers  # here: only those who read text pay for it

        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises a bare Exception
            raise CheckpointError(f"{file} is no tokenizer.json that can be read: {error}. Fetch it again.") from error

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``.

        Raises:
            InputError: ``text`` is empty: a model cannot continue nothing.
        """
        if not text:
            raise InputError("encode needs a text of at least one character.")
        return self._tokenizer.encode(text).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        ids = [int(i) for i in ids]
        size = self._tokenizer.get_vocab_size()
        if bad := [i for i in ids if not 0 <= i < size]:
            raise InputError(f"There is no token {bad[0]}; ids run from 0 to {size - 1}.")
        return self._tokenizer.decode(ids)


def load_tokenizer(path_or_hub_id: str | PathLike[str]) -> Tokenizer:
    """The tokenizer of a checkpoint directory, of a model that ships with the package ("tang-glm"), or of a hub id.

    Raises:
        CheckpointNotFoundError: no such directory, or no tokenizer in it.
        CheckpointError: the file is broken, or of a kind that cannot be read yet.
    """
    directory = locate(path_or_hub_id)
    if (directory / "tokenizer.json").is_file():
        return JsonTokenizer(directory / "tokenizer.json")
    if (directory / "vocab.txt").is_file():
        return CharacterTokenizer.from_file(directory / "vocab.txt")
    if found := [name for name in SENTENCEPIECE_FILES if (directory / name).is_file()]:
        raise CheckpointError(f"{directory} has a {found[0]}: SentencePiece files cannot be read yet. Pass ids.")
    raise CheckpointNotFoundError(f"{directory} has no tokenizer.json (and no vocab.txt).")
