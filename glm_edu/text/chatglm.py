"""ChatGLM-6B's tokenizer: ``ice_text.model`` and the rules around it.

A newline, a tab and a run of 2 to 80 blanks become pieces of their own before SentencePiece sees the text; it folds
wide marks into ASCII (NFKC), and sets a blank (``▁``) before the text. A prompt ends with [gMASK] and <sop>.

Official: tokenization_chatglm.py and modeling_chatglm.py (ChatGLM-6B rev 8b7d335), ChatGLMTokenizer, SPTokenizer, chat.
Differs: built on ``sentencepiece`` alone. As officially, <sop>, <eop>, <pad>, <unk> and [MASK] in a text are special
tokens (and the blanks beside them are dropped), and [gMASK] is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from glm_edu.errors import CheckpointError
from glm_edu.text.checks import check_text, checked
from glm_edu.text.cleaning import clean_chatglm, settled
from glm_edu.text.directory import read_json
from glm_edu.text.messages import Message, rounds
from glm_edu.text.padding import Padded, pad_for_two_clocks
from glm_edu.text.sampling import CHATGLM
from glm_edu.text.sentencepiece_file import compared, open_model

LONGEST_RUN = 80
_BLANKS = re.compile(f" {{2,{LONGEST_RUN}}}")  # the longest first, and never one alone
_MARKER = re.compile(r"<n>|<\|tab\|>|<\|blank_([2-9]|[1-7]\d|80)\|>")
_IN_TEXT = re.compile(r"(<sop>|<eop>|<pad>|<unk>|\[MASK\])")
_NEEDED = ("<pad>", "[MASK]", "[gMASK]", "<sop>", "<eop>", "<n>", "<|tab|>", "<|blank_2|>", "<|blank_80|>")
IMAGE_TOKENS = 20000  # ids before the text in checkpoints of before April 2023


class ChatGLMTokenizer:
    """Text to ids and back as ChatGLM-6B's own tokenizer does it.

    Args:
        file: the ``ice_text.model``.
        image_tokens: added to every id; 20000 in checkpoints of before April 2023 (vocabulary of 150528), else 0.

    Raises:
        CheckpointError: the file is broken, cut, or lacks the special pieces.
    """

    sampling = CHATGLM

    def __init__(self, file: Path, image_tokens: int = 0) -> None:
        self._pieces = open_model(file)
        self.image_tokens = image_tokens
        unknown = self._pieces.unk_id()
        missing = [name for name in _NEEDED if self._pieces.piece_to_id(name) == unknown]
        if missing:
            raise CheckpointError(f"{file} has no {', '.join(missing)}. It is older than April 2023, when these became "
                                  f"part of the file, or cut. {compared(file)}")  # fmt: skip
        self.vocab_size: int = image_tokens + self._pieces.vocab_size()
        self.mask_id, self.gmask_id = self._id("[MASK]"), self._id("[gMASK]")
        self.sop_id, self.eop_id, self.pad_id = self._id("<sop>"), self._id("<eop>"), self._id("<pad>")
        self.stop_ids: tuple[int, ...] = (self.eop_id,)

    @classmethod
    def from_directory(cls, directory: Path) -> ChatGLMTokenizer:
        """The tokenizer of a checkpoint directory; ``config.json`` says in which era its ids are.

        Raises:
            CheckpointError: config.json and tokenizer are of different eras, or settings that the official files lack.
        """
        config, settings = read_json(directory, "config.json"), read_json(directory, "tokenizer_config.json")
        for key in ("remove_space", "do_lower_case"):
            if settings.get(key):
                file = directory / "tokenizer_config.json"
                raise CheckpointError(f"{file}: {key}={settings[key]!r} is not supported; it may be false.")
        tokenizer = cls(directory / "ice_text.model")
        named = {f"{name}_token_id": getattr(tokenizer, f"{piece}_id") for name, piece in
                 (("bos", "sop"), ("eos", "eop"), ("mask", "mask"), ("gmask", "gmask"))}  # fmt: skip
        apart = {str(config[key] - ours) for key, ours in named.items() if type(config.get(key)) is int}
        apart = apart or {str(settings.get("num_image_tokens", 0))}
        if apart == {"0"}:
            return tokenizer
        if apart == {str(IMAGE_TOKENS)}:
            return cls(directory / "ice_text.model", IMAGE_TOKENS)
        said = ", ".join(f"{key} {config.get(key)} (here {ours})" for key, ours in named.items())
        raise CheckpointError(f"{directory}: the JSON files and ice_text.model do not belong together: {said}, "
                              f"num_image_tokens {settings.get('num_image_tokens')}. Files of before and after April "
                              "2023 do not mix; fetch all of one revision.")  # fmt: skip

    def __len__(self) -> int:
        return self.vocab_size

    def _id(self, piece: str) -> int:
        return self.image_tokens + int(self._pieces.piece_to_id(piece))

    def encode(
        self, text: str, add_special_tokens: bool = True, dummy_prefix: bool = True, max_length: int | None = None
    ) -> list[int]:
        """The ids of ``text``.

        Args:
            add_special_tokens: end with [gMASK] and <sop>.
            dummy_prefix: begin with a blank, as SentencePiece does; False continues a text that is there already.
            max_length: keep the first ids only, this many with [gMASK] and <sop>; None: all.

        Raises:
            InputError: what is given is no text.
        """
        check_text(text)
        ids: list[int] = []
        for number, part in enumerate(_split_specials(text)):
            special = _IN_TEXT.fullmatch(part)
            ids += [self._id(part)] if special else self._text_ids(part, dummy_prefix or number > 0)
        ends = [self.gmask_id, self.sop_id] if add_special_tokens else []
        return (ids if max_length is None else ids[: max(0, max_length - len(ends))]) + ends

    def encode_pair(self, prompt: str, answer: str) -> list[int]:
        """A training sample: prompt, [gMASK], <sop>, answer, <eop>."""
        return [*self.encode(prompt), *self.encode(answer, add_special_tokens=False), self.eop_id]

    def _text_ids(self, text: str, dummy_prefix: bool) -> list[int]:
        text = text.replace("\n", "<n>").replace("\t", "<|tab|>")
        text = _BLANKS.sub(lambda run: f"<|blank_{len(run[0])}|>", text)
        pieces = self._pieces.encode(text) if dummy_prefix else self._pieces.encode("<n>" + text)[2:]
        return [self.image_tokens + piece for piece in pieces]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens leave none.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        pieces = [i - self.image_tokens for i in checked(ids, self.vocab_size)]
        text: str = self._pieces.decode([i for i in pieces if i >= 0])  # an image's token has no text
        return _MARKER.sub(_spoken, text)

    def piece(self, token: int) -> str:
        """The name of an id: a piece with ▁ for a blank, or a special token; "" for an image's.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        at = checked([token], self.vocab_size)[0] - self.image_tokens
        return str(self._pieces.id_to_piece(at)) if at >= 0 else ""

    def is_special(self, token: int) -> bool:
        """Whether an id is no piece of a text."""
        at = checked([token], self.vocab_size)[0] - self.image_tokens
        return at < 0 or bool(self._pieces.is_control(at) or self._pieces.is_unknown(at))

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt of a chat. A first question stands alone; later ones come with all rounds, counted from 0.

        Raises:
            InputError: the messages are not user and assistant in turn, ending with user.
        """
        answered, query = rounds(messages)
        if not answered:
            return self.encode(query)
        turns = [*(f"{asked}\n答：{answer}\n" for asked, answer in answered), f"{query}\n答："]
        return self.encode("".join(f"[Round {i}]\n问：{turn}" for i, turn in enumerate(turns)))

    def clean(self, text: str) -> str:
        """What the official chat makes of an answer."""
        return clean_chatglm(text)

    def answer(self, ids: Sequence[int], finished: bool = True) -> str:
        """The cleaned text of an answer; not ``finished``: as much of it as can no longer change."""
        text = self.decode(ids)
        return self.clean(text if finished else settled(text))

    def pad(self, rows: Sequence[Sequence[int]]) -> Padded:
        """A batch of prompts, padded on the left, with both clocks."""
        return pad_for_two_clocks(rows, self.pad_id, self.sop_id, (self.mask_id, self.gmask_id))


def _split_specials(text: str) -> list[str]:
    """Special tokens and the texts between them, which lose the blanks and newlines beside a special token."""
    parts = _IN_TEXT.split(text)
    last = len(parts) - 1
    for i in range(0, len(parts), 2):
        parts[i] = parts[i].lstrip() if i else parts[i]
        parts[i] = parts[i].rstrip() if i < last else parts[i]
    return [part for part in parts if part]


def _spoken(marker: re.Match[str]) -> str:
    return " " * int(marker[1]) if marker[1] else {"<n>": "\n", "<|tab|>": "\t"}[marker[0]]
