"""A chat as a strip of tokens: what was said, and the headers and special tokens that the prompt format sets around it.

No format is written here a second time. The tokenizer encodes the chat twice, as it is and with a stand-in for each
content; what stands between the stand-ins is the format's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from glm_edu.figures.tokens import Part, Token, words
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.chatglm2 import ChatGLM2Tokenizer, ChatGLM3Tokenizer
from glm_edu.text.messages import Message

SAID = "\ue000"  # private use: no text holds it, and every vocabulary has its bytes
ROUND = re.compile(r"\[Round (\d+)\]")
ChatTokenizer = ChatGLMTokenizer | ChatGLM2Tokenizer


def tokens_of(tok: ChatTokenizer, ids: Sequence[int]) -> list[Token]:
    """The ids with the names of their pieces."""
    return [Token(i, tok.piece(i), tok.is_special(i)) for i in ids]


def text_part(tok: ChatTokenizer, text: str, name: str = "", kind: str = "text") -> Part:
    """A text alone, without special tokens."""
    return Part(name or words("text"), kind, tokens_of(tok, tok.encode(text, add_special_tokens=False)))


def chat_parts(tok: ChatTokenizer, messages: Sequence[Message]) -> list[Part]:
    """The prompt of a chat in its parts. Where a piece spans header and content, all of it is one part.

    Raises:
        InputError: messages that are no chat for this model.
    """
    ids = tok.encode_chat(messages)
    alone = isinstance(tok, ChatGLM3Tokenizer) or (isinstance(tok, ChatGLMTokenizer) and len(messages) == 1)
    said, stand_in = _contents(tok, messages, alone), tok.encode(SAID, add_special_tokens=False, dummy_prefix=alone)
    gaps = _gaps(tok.encode_chat([{**message, "content": SAID} for message in messages]), stand_in, len(messages))
    whole = [number for gap, content in zip(gaps, [*said, []], strict=True) for number in (*gap, *content)]
    if whole != ids:
        return [Part(words("text"), "text", tokens_of(tok, ids))]
    parts: list[Part] = []
    for message, gap, content in zip(messages, gaps, said, strict=False):
        parts += _format(tok, gap)
        parts.append(Part(words(message["role"]), _kind(message["role"]), tokens_of(tok, content)))
    return [*parts, *_format(tok, gaps[-1])]


def _contents(tok: ChatTokenizer, messages: Sequence[Message], alone: bool) -> list[list[int]]:
    return [tok.encode(m["content"], add_special_tokens=False, dummy_prefix=alone) for m in messages]


def _gaps(ids: list[int], stand_in: list[int], count: int) -> list[list[int]]:
    """What stands before, between and behind the stand-ins."""
    gaps, rest = [], ids
    for _ in range(count):
        at = next(i for i in range(len(rest)) if rest[i : i + len(stand_in)] == stand_in)
        gaps.append(rest[:at])
        rest = rest[at + len(stand_in) :]
    return [*gaps, rest]


def _format(tok: ChatTokenizer, ids: Sequence[int]) -> Iterator[Part]:
    """Special tokens, role tokens and headers in turn; a header that counts a round is named by it."""
    for name, group in groupby(tokens_of(tok, ids), _name):
        tokens = list(group)
        counted = ROUND.search(tok.decode([token.id for token in tokens]))
        word = words("round").format(n=counted[1]) if counted else words(name)
        yield Part(word, "header" if name == "header" else "marks", tokens)


def _name(token: Token) -> str:
    if token.special:
        return "role" if token.piece.startswith("<|") else "marks"
    return "header"


def _kind(role: str) -> str:
    return role if role in ("user", "assistant") else "text"
