"""A tokenizer of single characters, with ChatGLM-6B's special tokens under their own names. Tang GLM uses it.

A ``vocab.txt`` holds one token a line; its line number is its id. As with ChatGLM-6B, a prompt ends with ``<sop>``, and
[gMASK] goes in front of that where the text holds no mask.

Official: tokenization_chatglm.py (ChatGLM-6B rev 8b7d335), build_inputs_with_special_tokens.
Differs: a character that the vocabulary does not have is an error unless it is allowed, not a run of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from glm_edu.errors import CheckpointError, InputError
from glm_edu.text.checks import checked
from glm_edu.text.messages import Message, rounds
from glm_edu.text.padding import Padded, pad_for_two_clocks
from glm_edu.text.sampling import GREEDY

SPECIALS = ("<unk>", "<pad>", "[MASK]", "[gMASK]", "<sop>", "<eop>")
UNKNOWN_SIGN = "□"  # what printed Chinese puts where a character cannot be read
_TOKEN = re.compile(r"\[MASK\]|\[gMASK\]|.", re.DOTALL)


class CharacterTokenizer:
    """Text to ids and back, one id a character.

    Args:
        tokens: the vocabulary in the order of its ids; it must hold the specials.

    Raises:
        CheckpointError: a special token is missing, or a token stands there twice.
    """

    sampling = GREEDY

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = tuple(tokens)
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        if missing := [token for token in SPECIALS if token not in self.ids]:
            raise CheckpointError(f"The vocabulary has no {', '.join(missing)}.")
        if len(self.ids) < len(self.tokens):
            twice = next(token for number, token in enumerate(self.tokens) if self.ids[token] != number)
            raise CheckpointError(f"The vocabulary holds {twice!r} twice.")
        specials = (self.ids[token] for token in SPECIALS)
        self.unk_id, self.pad_id, self.mask_id, self.gmask_id, self.sop_id, self.eop_id = specials
        self.vocab_size = len(self.tokens)
        self.stop_ids: tuple[int, ...] = (self.eop_id,)

    @classmethod
    def from_file(cls, file: Path) -> CharacterTokenizer:
        """The tokenizer of a ``vocab.txt``.

        Raises:
            CheckpointError: the file is not UTF-8, or what it holds is no vocabulary.
        """
        try:
            return cls(file.read_text(encoding="utf-8").splitlines())
        except (UnicodeDecodeError, CheckpointError) as error:
            raise CheckpointError(f"{file} cannot be read: {error} Copy it again from where the model was.") from error

    def save(self, file: Path) -> None:
        """Write ``vocab.txt``."""
        file.write_text("".join(token + "\n" for token in self.tokens), encoding="utf-8")

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str, add_special_tokens: bool = True, allow_unknown: bool = False) -> list[int]:
        """The ids of ``text``; "[MASK]" and "[gMASK]" in it are the special tokens.

        Args:
            add_special_tokens: end with <sop>, after [gMASK] where the text holds no mask. False: the text alone.
            allow_unknown: characters that the vocabulary does not have become <unk>; else they are an error.

        Raises:
            InputError: the text is empty, or holds a character that the vocabulary does not have.
        """
        if not text:
            raise InputError("encode needs a text of at least one character.")
        tokens = _TOKEN.findall(text)
        if not allow_unknown and (unknown := sorted({token for token in tokens if token not in self.ids})):
            raise InputError(
                f"The vocabulary of {len(self)} tokens does not have {', '.join(map(repr, unknown))}. Tang GLM knows "
                "simplified characters, ， and 。; with allow_unknown=True others become <unk>."
            )
        ids = [self.ids.get(token, self.unk_id) for token in tokens]
        if add_special_tokens:
            ids += [self.sop_id] if {self.mask_id, self.gmask_id} & set(ids) else [self.gmask_id, self.sop_id]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens leave none, but for <unk>, which becomes □.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        tokens = (UNKNOWN_SIGN if i == self.unk_id else self.tokens[i] for i in checked(ids, len(self)))
        return "".join(token for token in tokens if token not in SPECIALS)

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt of a "chat": the one text that Tang GLM is to go on with, or whose mask it is to fill.

        Raises:
            InputError: more than one message: it never saw a conversation.
        """
        answered, text = rounds(messages)
        if answered:
            raise InputError("Tang GLM goes on with one text and knows no conversation; give one message of role user.")
        return self.encode(text)

    def clean(self, text: str) -> str:
        """The text as it is."""
        return text

    def answer(self, ids: Sequence[int], finished: bool = True) -> str:
        """The text of an answer; a character is one token, so none of it can change."""
        return self.decode(ids)

    def pad(self, rows: Sequence[Sequence[int]]) -> Padded:
        """A batch of prompts, padded on the left, with both clocks."""
        return pad_for_two_clocks(rows, self.pad_id, self.sop_id, (self.mask_id, self.gmask_id))
