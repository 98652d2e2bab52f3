"""A ``tokenizer.json``, read by the ``tokenizers`` library: LLaMA, GLM-4, SmolLM2.

What a text may spell is what the file says: as with transformers, most such files take "<|im_end|>" in a text for the
special token. Chats are rendered by the template in the same directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from glm_edu.errors import CheckpointError, InputError
from glm_edu.text.checks import check_text, checked
from glm_edu.text.cleaning import clean_chatglm3, settled, settled_parts
from glm_edu.text.directory import read_json
from glm_edu.text.messages import Message, check_messages
from glm_edu.text.padding import Padded, pad_for_one_clock
from glm_edu.text.sampling import from_generation_config
from glm_edu.text.template import read_template, render

_HEADED = ("[gMASK]", "<|observation|>")  # vocabularies whose answers begin with a header line: GLM-4


class JsonTokenizer:
    """Text to ids and back as a ``tokenizer.json`` says.

    Raises:
        CheckpointError: the file, or one of the JSON files beside it, cannot be read.
    """

    def __init__(self, file: Path) -> None:
        import tokenizers  # here: only those who read text pay for it

        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
            self._tokenizer.encode("a\U0010ffff")  # some faults show only here, or where a character is unknown
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the library raises a bare Exception, and its panics are not even that
            raise CheckpointError(f"{file} is no tokenizer.json that can be read: {error}. Fetch it again.") from error
        self._tokenizer.no_truncation()  # a file may carry the length that its model was trained with
        self._tokenizer.no_padding()
        self._directory = file.parent
        self.vocab_size: int = 1 + max(self._tokenizer.get_vocab().values(), default=-1)  # ids may have holes
        self._template = read_template(self._directory)
        self._tokens = _named_tokens(read_json(self._directory, "tokenizer_config.json"))
        generation = read_json(self._directory, "generation_config.json")
        self.sampling = from_generation_config(generation)
        ends = [*_ids(generation, "eos_token_id"), *_ids(read_json(self._directory, "config.json"), "eos_token_id"),
                self._tokenizer.token_to_id(self._tokens.get("eos_token", ""))]  # fmt: skip
        self.stop_ids: tuple[int, ...] = tuple(dict.fromkeys(end for end in ends if end is not None))
        pad = self._tokenizer.token_to_id(self._tokens.get("pad_token", ""))
        self.pad_id: int = pad if pad is not None else next(iter(self.stop_ids), 0)
        self._headed = all(self._tokenizer.token_to_id(token) is not None for token in _HEADED)

    def __len__(self) -> int:
        return self.vocab_size

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The ids of ``text``.

        Raises:
            InputError: ``text`` is empty: a model cannot continue nothing.
        """
        check_text(text)
        if not text:
            raise InputError("encode needs a text of at least one character.")
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of ``ids``.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        ids = checked(ids, self.vocab_size)
        text: str = self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        return text

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt of a chat, as the directory's template renders it.

        Raises:
            InputError: the messages are no chat, the template refuses them, or the directory has no template.
        """
        check_messages(messages)
        if self._template is None:
            raise InputError(
                f"{self._directory} has no chat template (chat_template.jinja, or chat_template in "
                "tokenizer_config.json): its model was not made for chats. Use encode and generate."
            )
        return self.encode(render(self._template, messages, self._tokens), add_special_tokens=False)

    def clean(self, text: str) -> str:
        """The answer without blanks around it; GLM-4: without its header line."""
        return clean_chatglm3(text) if self._headed else text.strip()

    def answer(self, ids: Sequence[int], finished: bool = True) -> str:
        """The cleaned text of an answer; not ``finished``: as much of it as can no longer change."""
        text = self.decode(ids, skip_special_tokens=not self._headed)
        return self.clean(text if finished else (settled_parts if self._headed else settled)(text))

    def pad(self, rows: Sequence[Sequence[int]]) -> Padded:
        """A batch of prompts, padded on the left."""
        return pad_for_one_clock(rows, self.pad_id)


def _ids(official: dict[str, Any], key: str) -> list[int]:
    value = official.get(key)
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if any(type(i) is not int for i in ids):
        raise CheckpointError(f"{key}={value!r} should hold whole numbers.")
    return ids


def _named_tokens(settings: dict[str, Any]) -> dict[str, str]:
    """``bos_token`` and the like, which stand there as a text, or as an object with a ``content``."""
    named = {key: value for key, value in settings.items() if key.endswith("_token")}
    plain = {key: value.get("content") if isinstance(value, dict) else value for key, value in named.items()}
    return {key: value for key, value in plain.items() if isinstance(value, str)}
