"""The tokenizers of ChatGLM2-6B and ChatGLM3-6B: one ``tokenizer.model`` for both, role tokens and another chat for 3.

SentencePiece BPE with bytes for what it does not know; newlines are such a byte, and nothing is folded, so every text
comes back. The special tokens are no pieces: their ids follow the last piece, and a text can never spell them.

Official: tokenization_chatglm.py (ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87), SPTokenizer, ChatGLMTokenizer,
build_prompt, build_chat_input, build_single_message.
Differs: built on ``sentencepiece`` alone; ``decode`` of ChatGLM3-6B leaves special tokens out unless asked (the
official one always writes them).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from glm_edu.errors import CheckpointError, InputError
from glm_edu.text.checks import check_text, checked
from glm_edu.text.cleaning import answer_messages, clean_chatglm2, clean_chatglm3, settled, settled_parts
from glm_edu.text.directory import chatglm_generation, read_json
from glm_edu.text.messages import Message, check_messages, rounds
from glm_edu.text.padding import Padded, pad_for_one_clock
from glm_edu.text.sampling import CHATGLM2
from glm_edu.text.sentencepiece_file import compared, open_model

SPECIALS = ("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop")
ROLE_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
PIECES, ROWS = 64789, 65024  # of the published file, and of the network that goes with it
GLM4_ROWS = 151552


class ChatGLM2Tokenizer:
    """Text to ids and back as ChatGLM2-6B's own tokenizer does it.

    Args:
        file: the ``tokenizer.model``.

    Raises:
        CheckpointError: the file is broken or cut.
    """

    sampling = CHATGLM2
    specials: tuple[str, ...] = SPECIALS

    def __init__(self, file: Path) -> None:
        self._pieces = open_model(file)
        first: int = self._pieces.vocab_size()
        self.special_ids = {name: first + number for number, name in enumerate(self.specials)}
        self.vocab_size = first + len(self.specials)
        self.pad_id, self.eos_id = int(self._pieces.unk_id()), int(self._pieces.eos_id())
        self._silent = (self.pad_id, int(self._pieces.bos_id()), self.eos_id)  # <unk> <s> </s>
        self.prefix = (self.special_ids["[gMASK]"], self.special_ids["sop"])
        self.stop_ids: tuple[int, ...] = (self.eos_id,)

    def __len__(self) -> int:
        return self.vocab_size

    def encode(self, text: str, add_special_tokens: bool = True, dummy_prefix: bool = True) -> list[int]:
        """The ids of ``text``.

        Args:
            add_special_tokens: begin with [gMASK] and sop.
            dummy_prefix: begin with a blank, as SentencePiece does; False continues a text that is there already.

        Raises:
            InputError: what is given is no text.
        """
        check_text(text)
        ids = self._pieces.encode(text) if dummy_prefix else self._pieces.encode("\n" + text)[2:]
        return [*(self.prefix if add_special_tokens else ()), *ids]

    def encode_pair(self, prompt: str, answer: str) -> list[int]:
        """A training sample: [gMASK], sop, prompt, answer, end."""
        return [*self.encode(prompt), *self.encode(answer, add_special_tokens=False), self.eos_id]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens leave none.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        specials = {*self._silent, *self.special_ids.values()}
        text: str = self._pieces.decode([i for i in checked(ids, self.vocab_size) if i not in specials])
        return text

    def piece(self, token: int) -> str:
        """The name of an id: a piece with ▁ for a blank, or a special token.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        at = checked([token], self.vocab_size)[0] - self._pieces.vocab_size()
        return self.specials[at] if at >= 0 else str(self._pieces.id_to_piece(token))

    def is_special(self, token: int) -> bool:
        """Whether an id is no piece of a text."""
        return token in self._silent or checked([token], self.vocab_size)[0] >= self._pieces.vocab_size()

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt of a chat: all rounds, counted from 1, as one text.

        Raises:
            InputError: the messages are not user and assistant in turn, ending with user.
        """
        answered, query = rounds(messages)
        turns = [*(f"{asked}\n\n答：{answer}\n\n" for asked, answer in answered), f"{query}\n\n答："]
        return self.encode("".join(f"[Round {i}]\n\n问：{turn}" for i, turn in enumerate(turns, 1)))

    def clean(self, text: str) -> str:
        """What the official chat makes of an answer."""
        return clean_chatglm2(text)

    def answer(self, ids: Sequence[int], finished: bool = True) -> str:
        """The cleaned text of an answer; not ``finished``: as much of it as can no longer change."""
        text = self.decode(ids)
        return self.clean(text if finished else settled(text))

    def pad(self, rows: Sequence[Sequence[int]]) -> Padded:
        """A batch of prompts, padded on the left."""
        return pad_for_one_clock(rows, self.pad_id)


class ChatGLM3Tokenizer(ChatGLM2Tokenizer):
    """The same pieces, a token for each role, and a chat whose headers and contents are tokenized one by one.

    Each header and each content gets a blank of its own from SentencePiece, so the ids are not those of the chat as one
    text.
    """

    specials = (*SPECIALS, *ROLE_TOKENS)

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.stop_ids = (self.eos_id, self.special_ids["<|user|>"], self.special_ids["<|observation|>"])

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of ``ids``. With ``skip_special_tokens=False`` special tokens are written out, as officially.

        Raises:
            InputError: an id that the vocabulary does not have.
        """
        if skip_special_tokens:
            return super().decode(ids)
        names = {number: name for name, number in self.special_ids.items()} | dict.fromkeys(self._silent, "")
        ids = checked(ids, self.vocab_size)
        text: str = self._pieces.decode_pieces([names[i] if i in names else self._pieces.id_to_piece(i) for i in ids])
        return text

    def encode_message(self, role: str, content: str, metadata: str = "") -> list[int]:
        """The role's token, the header line, the content; the content may be that of an assistant, too."""
        header = self.encode(f"{metadata}\n", add_special_tokens=False)
        return [self.special_ids[f"<|{role}|>"], *header, *self.encode(content, add_special_tokens=False)]

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt of a chat, ending with <|assistant|>. A system message may carry ``"tools"``, a list for JSON.

        Raises:
            InputError: a message that is none, or the last one is of the assistant.
        """
        check_messages(messages)
        ids = list(self.prefix)
        for message in messages:
            content = message["content"]
            if message["role"] == "system" and "tools" in message:
                content += "\n" + _tools_text(message["tools"])
            ids += self.encode_message(message["role"], content, message.get("metadata", ""))
        return [*ids, self.special_ids["<|assistant|>"]]

    def clean(self, text: str) -> str:
        """The content of an answer without its header line."""
        return clean_chatglm3(text)

    def answer(self, ids: Sequence[int], finished: bool = True) -> str:
        """The cleaned text of an answer; not ``finished``: as much of it as can no longer change."""
        text = self.decode(ids, skip_special_tokens=False)
        return self.clean(text if finished else settled_parts(text))

    def answer_messages(self, ids: Sequence[int]) -> list[dict[str, str]]:
        """An answer as messages with the names of tools as metadata, to go on with the chat."""
        return answer_messages(self.decode(ids, skip_special_tokens=False))


def _tools_text(tools: Any) -> str:
    try:
        return json.dumps(tools, indent=4, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"The tools of a system message should be what JSON can say: {error}.") from error


def chatglm2_or_3(directory: Path) -> ChatGLM2Tokenizer:
    """The tokenizer of a directory with a ``tokenizer.model``.

    Raises:
        CheckpointError: the directory is of another kind of model, does not tell which of the two, or its file was cut.
    """
    config, file = read_json(directory, "config.json"), directory / "tokenizer.model"
    rows, kind = config.get("padded_vocab_size"), config.get("model_type", "chatglm")
    if kind != "chatglm" or rows == GLM4_ROWS:
        raise CheckpointError(f"{file} is not that of ChatGLM2-6B or ChatGLM3-6B: config.json has model_type {kind!r} "
                              f"and padded_vocab_size {rows}. For LLaMA and GLM-4, use a directory with a "
                              "tokenizer.json (for GLM-4 the one whose name ends in -hf).")  # fmt: skip
    tokenizer = (ChatGLM2Tokenizer, ChatGLM3Tokenizer)[chatglm_generation(directory) - 2](file)
    pieces = tokenizer.vocab_size - len(tokenizer.specials)
    if (rows == ROWS and pieces != PIECES) or (isinstance(rows, int) and rows < tokenizer.vocab_size):
        raise CheckpointError(f"{file} has {pieces} pieces, and a network with {rows} rows needs {PIECES}. "
                              f"{compared(file)}")  # fmt: skip
    return tokenizer
