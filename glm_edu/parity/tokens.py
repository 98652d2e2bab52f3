"""What the official tokenizers made of texts and chats, and the same from this package: counted, and never rounded.

Three sources of pieces stand behind it. A stand-in of 501 pieces, with which the official rules of ChatGLM-6B were run
on many texts; its ids are its own. And two files made by hand that hold the recorded pieces at their real ids.

    for row in compare_tokens():
        print(row.ok, row.what, f"{row.equal} of {row.of}")
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from glm_edu.errors import CheckpointNotFoundError, InputError
from glm_edu.parity.case import GOLDEN
from glm_edu.parity.made_tokenizers import chatglm2_model, chatglm_model, normalizer_of
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.chatglm2 import ChatGLM2Tokenizer, ChatGLM3Tokenizer
from glm_edu.text.messages import Message

TOKENIZERS = GOLDEN / "tokenizers"
MADE = {"chatglm-6b": ChatGLMTokenizer, "chatglm2-6b": ChatGLM2Tokenizer, "chatglm3-6b": ChatGLM3Tokenizer}
REAL, RULES, LATER = "chatglm1_real_vectors.json", "chatglm1_wrapper.json", "chatglm2_3.json"
STAND_IN = "tiny_ice_text.model"


def recorded(name: str) -> dict[str, Any]:
    """What was recorded: ``REAL`` ids of ChatGLM-6B, its ``RULES``, or all of the ``LATER`` two.

    Raises:
        CheckpointNotFoundError: the package was installed without the repository that holds the recordings.
    """
    content: dict[str, Any] = json.loads(_there(name).read_text(encoding="utf-8"))
    return content


@cache
def stand_in() -> ChatGLMTokenizer:
    """ChatGLM-6B's rules over the stand-in of 501 pieces."""
    return ChatGLMTokenizer(_there(STAND_IN))


@cache
def made_tokenizer(kind: str) -> ChatGLMTokenizer | ChatGLM2Tokenizer:
    """A tokenizer of the published size in which the recorded pieces stand at their real ids.

    Raises:
        InputError: another kind than "chatglm-6b", "chatglm2-6b" or "chatglm3-6b".
        CheckpointNotFoundError: the recordings are not there.
    """
    if kind not in MADE:
        raise InputError(f"There is no made tokenizer of kind {kind!r}; there are {', '.join(MADE)}.")
    if kind == "chatglm-6b":
        content = chatglm_model(recorded(REAL)["vectors"], normalizer_of(_there(STAND_IN)))
    else:
        content = chatglm2_model(recorded(LATER))
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "made.model"
        file.write_bytes(content)
        return MADE[kind](file)


@dataclass(frozen=True)
class Compared:
    """One kind of recording: of how many how many are equal to what this package makes."""

    model: str
    what: str
    equal: int
    of: int

    @property
    def ok(self) -> bool:
        """All of them, of one at least."""
        return self.equal == self.of > 0


def compare_tokens() -> list[Compared]:
    """Every recording beside what this package makes of the same texts and chats."""
    return [Compared(model, what, sum(equal), len(equal)) for model, what, equal in _first() + _later()]


Row = tuple[str, str, list[bool]]


def _first() -> list[Row]:
    rules, real, ours = recorded(RULES), recorded(REAL), stand_in()
    model, said = "chatglm-6b", rules["chat_prompt"]
    made = made_tokenizer(model)
    padded = ours.pad([ours.encode(text) for text in PADDED]).input_ids.tolist()
    batch = rules["padding"]["longest"]["input_ids"]
    return [
        (model, "texts, rules", [ours.encode(c["text"]) == c["encode"] for c in rules["strings"]]),
        (model, "texts, real ids", [made.encode(v["text"]) == v["ids_with_special"] for v in real["vectors"]]),
        (model, "chats, rules", [ours.encode_chat(_messages(c)) == ours.encode(c["prompt"]) for c in said]),
        (model, "answers cleaned, rules", [ours.clean(c["text"]) == c["out"] for c in rules["process_response"]]),
        (model, "padded rows, rules", [row == official for row, official in zip(padded, batch, strict=True)]),
    ]


PADDED = ("你好", "hello world hello", "x [MASK] y")  # the texts of the recorded batch


def _later() -> list[Row]:
    facts = recorded(LATER)
    second, third = made_tokenizer("chatglm2-6b"), made_tokenizer("chatglm3-6b")
    assert isinstance(second, ChatGLM2Tokenizer) and isinstance(third, ChatGLM3Tokenizer)
    rounds = [(_messages(c), c["encoded"]["input_ids"][0]) for c in facts["v2_prompts"]]
    roles = [(_roles(c), c["encoded"]["input_ids"][0]) for c in facts["v3_chat"].values()]
    one = facts["v3_single_message"].items()
    return [
        ("chatglm2-6b", "texts, real ids", [second.encode(c["text"]) == c["v2"]["ids"] for c in facts["cases"]]),
        ("chatglm2-6b", "chats, real ids", [second.encode_chat(chat) == ids for chat, ids in rounds]),
        ("chatglm3-6b", "texts, real ids", [third.encode(c["text"]) == c["v3"]["ids"] for c in facts["cases"]]),
        ("chatglm3-6b", "messages, real ids", [third.encode_message(role, "你好") == ids for role, ids in one]),
        ("chatglm3-6b", "chats, real ids", [third.encode_chat(chat) == ids for chat, ids in roles]),
    ]


def _messages(case: dict[str, Any]) -> list[Message]:
    """The messages of a recorded chat in rounds: its history is pairs of query and answer."""
    return [*_pairs(case["history"] or ()), {"role": "user", "content": case["query"]}]


def _pairs(history: Any) -> Iterator[Message]:
    for query, answer in history:
        yield {"role": "user", "content": query}
        yield {"role": "assistant", "content": answer}


def _roles(case: dict[str, Any]) -> list[Message]:
    """The messages of a recorded chat in roles."""
    return [*case["history"], {"role": case.get("role", "user"), "content": case["query"]}]


def _there(name: str) -> Path:
    if not (file := TOKENIZERS / name).is_file():
        raise CheckpointNotFoundError(f"{file} is not there. The recordings come with the repository: install it with "
                                      "'pip install -e .' from a clone.")  # fmt: skip
    return file
