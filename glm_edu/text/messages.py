"""Messages: one format for the chats of all generations, and the checks that each chat format begins with.

A message is ``{"role": ..., "content": ...}``, with ``"metadata"`` (the name of a tool) where ChatGLM3-6B asks for it.
The roles are system, user, assistant and observation (what a tool answered).

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d), ``history`` of chat;
tokenization_chatglm.py (ChatGLM3-6B rev 456aa87), build_chat_input.
Differs: the first two generations are given pairs of query and answer officially; here all are given messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glm_edu.errors import InputError

Message = Mapping[str, Any]
ROLES = ("system", "user", "assistant", "observation")


def check_messages(messages: Sequence[Message], roles: Sequence[str] = ROLES) -> None:
    """Raise InputError unless ``messages`` are a chat that waits for an answer.

    It starts with system or user, and ends with user or observation; each message has one of ``roles`` and a text.
    """
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence) or not messages:
        raise InputError(
            'messages should be a list such as [{"role": "user", "content": "Hello"}], with at least one message.'
        )
    for number, message in enumerate(messages):
        _check_message(f"messages[{number}]", message, roles)
    if (first := messages[0]["role"]) not in ("system", "user"):
        raise InputError(f"messages[0] is of role {first}; a chat starts with user (or system, where there is one).")
    if (last := messages[-1]["role"]) not in ("user", "observation"):
        raise InputError(f"The last message is of role {last}; the assistant answers a message of role user.")
    if not messages[-1]["content"].strip():
        raise InputError("The last message has no text: there is nothing to answer.")


def _check_message(name: str, message: object, roles: Sequence[str]) -> None:
    if not isinstance(message, Mapping):
        raise InputError(f'{name} is a {type(message).__name__}; expected {{"role": ..., "content": ...}}.')
    for key in ("role", "content"):
        if not isinstance(message.get(key), str):
            raise InputError(f"{name}[{key!r}] should be a text, not {message.get(key)!r}.")
    if not isinstance(message.get("metadata", ""), str):
        raise InputError(f"{name}['metadata'] should be a text (the name of a tool), not {message['metadata']!r}.")
    if message["role"] not in roles:
        known = ", ".join(roles)
        hint = "; put it in front of the first message of the user" if message["role"] in ROLES else ""
        raise InputError(f"{name} is of role {message['role']!r}; this model was made for {known}{hint}.")


def rounds(messages: Sequence[Message]) -> tuple[list[tuple[str, str]], str]:
    """The answered (query, answer) pairs and the query that waits: all that ChatGLM-6B and ChatGLM2-6B know of.

    Raises:
        InputError: not user, assistant, user, ..., user in turn.
    """
    check_messages(messages, ("user", "assistant"))
    for number, message in enumerate(messages):
        if message["role"] != (expected := ("user", "assistant")[number % 2]):
            raise InputError(f"messages[{number}] is of role {message['role']}; user and assistant take turns here, "
                             f"so {expected} was expected.")  # fmt: skip
    texts = [message["content"] for message in messages]
    return list(zip(texts[:-1:2], texts[1::2], strict=True)), texts[-1]
