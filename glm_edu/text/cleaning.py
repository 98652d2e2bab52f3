"""What the official chat does to a model's text before anyone reads it.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87),
process_response.
Differs: ChatGLM3-6B's runs ``eval`` on what the model wrote when it calls a tool; here the call stays a text, and
``tool_arguments`` reads plain values out of it without running anything. Of an answer in several parts, the official
text is the last one, and while streaming each in turn; here it is all of them.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from glm_edu.errors import InputError

ASSISTANT = "<|assistant|>"
YEAR = "[[训练时间]]"  # "time of training": what the models write for the year that their data ends in
_MARKS = dict(zip(",!:;?", "，！：；？", strict=True))
_OPEN = "".join(_MARKS) + "\ufffd"
_LONGEST = len(ASSISTANT) - 1  # the longest begin of a spelled-out token that is not the token yet
_BESIDE_HAN = re.compile(r"(?<=[\u4e00-\u9fff])[,!:;?]|[,!:;?](?=[\u4e00-\u9fff])")


def clean_chatglm(text: str) -> str:
    """ChatGLM-6B: trimmed, the year filled in, and , ! : ; ? in their Chinese width beside a Chinese character.

    Its tokenizer folds the wide marks into ASCII; this puts them back.
    """
    return _BESIDE_HAN.sub(lambda mark: _MARKS[mark[0]], clean_chatglm2(text))


def clean_chatglm2(text: str) -> str:
    """ChatGLM2-6B: trimmed, and the year filled in."""
    return text.strip().replace(YEAR, "2023年")


def answer_messages(text: str) -> list[dict[str, str]]:
    """What ChatGLM3-6B and GLM-4 answer, as messages: most often one, several where <|assistant|> parts them.

    The first line of each names a tool (``metadata``) or is empty; then the content is trimmed and has its year filled
    in. Append the messages to a chat to go on with it.
    """
    messages = []
    for part in text.split(ASSISTANT):
        metadata, newline, content = part.partition("\n")
        if not newline:
            metadata, content = "", part
        content = content if metadata.strip() else clean_chatglm2(content)
        messages.append({"role": "assistant", "metadata": metadata.strip(), "content": content})
    return messages


def clean_chatglm3(text: str) -> str:
    """ChatGLM3-6B, GLM-4: the content of the answer without its header; one line after the other where it has parts."""
    return "\n".join(message["content"] for message in answer_messages(text))


def tool_arguments(content: str) -> dict[str, Any]:
    """The keyword arguments of the ``tool_call(...)`` in an answer of ChatGLM3-6B; only plain values are read.

    Raises:
        InputError: there is no such call, or an argument is no plain value. Nothing is ever run.
    """
    inner = "\n".join(content.strip().split("\n")[1:-1]) if content.strip().startswith("```") else content
    try:
        call = ast.parse(inner.strip(), mode="eval").body
        if isinstance(call, ast.Call) and not call.args and all(keyword.arg for keyword in call.keywords):
            return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    raise InputError(f"Expected tool_call(name=value, ...) with plain values, but the model wrote {content!r}.")


def settled(text: str) -> str:
    """The part of ``text`` that stays as it is whatever the model writes next; the rest is held back while streaming.

    Held back: bytes of an unfinished character, a mark whose neighbour may be Chinese, and the begin of what may become
    another text (the year, <|assistant|>, <n> for a newline). Blanks at the end are trimmed by the clean-up itself.
    """
    text = text.rstrip(_OPEN)
    tail = text[-_LONGEST:]
    begin = re.search(r"<[^<>]*\Z|\[\[?[训练时间]*\]?\Z", tail)
    return text[: len(text) - len(tail) + begin.start()] if begin else text


def settled_parts(text: str) -> str:
    """``settled`` for ChatGLM3-6B and GLM-4: a part whose first line is not finished is held back as well."""
    *parts, last = settled(text).split(ASSISTANT)
    return ASSISTANT.join([*parts, last] if "\n" in last else parts)
