"""Tokenizers: text becomes ids, ids become text, messages become the prompt that a model was trained to answer.

Which files a directory holds says which tokenizer it is; code that lies beside them is never run.

| file | model | here |
|---|---|---|
| ``tokenizer.json`` | LLaMA, GLM-4, SmolLM2 | ``json_file.py`` |
| ``vocab.txt`` | Tang GLM | ``characters.py`` |
| ``ice_text.model`` | ChatGLM-6B | ``chatglm.py`` |
| ``tokenizer.model`` | ChatGLM2-6B, ChatGLM3-6B | ``chatglm2.py`` |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Protocol, runtime_checkable

from glm_edu.checkpoints.hub import locate
from glm_edu.errors import CheckpointNotFoundError
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.chatglm2 import chatglm2_or_3
from glm_edu.text.json_file import JsonTokenizer
from glm_edu.text.messages import Message
from glm_edu.text.padding import Padded
from glm_edu.text.sampling import Sampling


@runtime_checkable
class Tokenizer(Protocol):
    """What every tokenizer here can do.

    Attributes:
        stop_ids: an answer ends where one of these is made.
        sampling: the official defaults of its chat.
        vocab_size: ids that it has; the network may have more rows.
    """

    stop_ids: tuple[int, ...]
    sampling: Sampling
    vocab_size: int

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The ids of ``text``, with the special tokens that its model expects."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens leave none."""
        ...

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt of a chat; it ends where the assistant begins to answer."""
        ...

    def clean(self, text: str) -> str:
        """What the official chat makes of an answer."""
        ...

    def answer(self, ids: Sequence[int], finished: bool = True) -> str:
        """The cleaned text of an answer; not ``finished``: as much of it as can no longer change."""
        ...

    def pad(self, rows: Sequence[Sequence[int]]) -> Padded:
        """A batch of prompts, padded on the left, with what to keep and where each token stands."""
        ...


def load_tokenizer(path_or_hub_id: str | PathLike[str], revision: str | None = None) -> Tokenizer:
    """The tokenizer of a checkpoint directory, of a model by its short name ("tang-glm"), or of a hub id.

    Of what is on the hub, only the small files are fetched.

    Raises:
        CheckpointNotFoundError: no such directory, no tokenizer in it, or the hub cannot be reached.
        CheckpointError: a file is broken, cut, a Git LFS pointer, or of a kind that cannot be read.
        InputError: a revision of something that is no hub id.
    """
    directory = locate(path_or_hub_id, revision, weights=False)
    if (directory / "tokenizer.json").is_file():
        return JsonTokenizer(directory / "tokenizer.json")
    if (directory / "vocab.txt").is_file():
        return CharacterTokenizer.from_file(directory / "vocab.txt")
    if (directory / "ice_text.model").is_file():
        return ChatGLMTokenizer.from_directory(directory)
    if (directory / "tokenizer.model").is_file():
        return chatglm2_or_3(directory)
    raise CheckpointNotFoundError(
        f"{directory} has no tokenizer.json, tokenizer.model or ice_text.model (and no vocab.txt)."
    )
