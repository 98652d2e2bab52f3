"""What a checkpoint directory says about its tokenizer besides the tokenizer file itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glm_edu.checkpoints import shards
from glm_edu.errors import CheckpointError

_NAME = re.compile(r"chatglm-?([23])", re.IGNORECASE)


def read_json(directory: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file.

    Raises:
        CheckpointError: the file holds no JSON object.
    """
    if not (file := directory / name).is_file():
        return {}
    content = shards.read_json(file)
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} should hold an object, not a {type(content).__name__}. Fetch it again.")
    return content


def chatglm_generation(directory: Path) -> int:
    """2 or 3: ChatGLM2-6B and ChatGLM3-6B share their tokenizer.model, and differ in role tokens and chat format.

    Published directories say it by their names in config.json and tokenizer_config.json; saved copies often carry a
    path there instead, and then the official tokenizer code or the role tokens beside it tell. All that is found must
    agree. The code is read as text; nothing in it is run.

    Raises:
        CheckpointError: nothing tells, or two places disagree.
    """
    found = list(_signs(directory))
    if len(generations := {generation for _, generation in found}) == 1:
        return generations.pop()
    said = "; ".join(f"{where} says ChatGLM{generation}-6B" for where, generation in found)
    raise CheckpointError(
        f"{directory} may be ChatGLM2-6B or ChatGLM3-6B: {said or 'nothing in it tells'}. Their chats differ, so "
        'nothing is guessed. Write "name_or_path": "THUDM/chatglm3-6b" (or chatglm2-6b) into tokenizer_config.json'
        + (", and make the others agree." if found else ".")
    )


def _signs(directory: Path) -> Iterator[tuple[str, int]]:
    """(where, generation) of everything that tells."""
    for name, key in (("config.json", "_name_or_path"), ("tokenizer_config.json", "name_or_path")):
        numbers = set(_NAME.findall(str(read_json(directory, name).get(key, ""))))
        if len(numbers) == 1:
            yield f"{key} in {name}", int(numbers.pop())
    settings = read_json(directory, "tokenizer_config.json")
    tokens = [settings.get(key) for key in ("chat_template", "added_tokens_decoder", "additional_special_tokens")]
    if "<|user|>" in json.dumps(tokens, ensure_ascii=False):
        yield "the role tokens in tokenizer_config.json", 3
    code = directory / "tokenization_chatglm.py"
    if code.is_file():
        roles = "<|assistant|>" in code.read_text(encoding="utf-8", errors="replace")
        yield "tokenization_chatglm.py", 3 if roles else 2
