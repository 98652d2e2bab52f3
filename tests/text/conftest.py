"""Directories with tokenizers: the stand-in of the golden outputs, and two files made by hand of the published size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glm_edu.parity.made_tokenizers import chatglm2_model
from glm_edu.parity.tokens import made_tokenizer, stand_in
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.chatglm2 import ChatGLM2Tokenizer, ChatGLM3Tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"
TINY = GOLDEN / "tiny_ice_text.model"


def golden(name: str) -> Any:
    """A recorded file."""
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def standin() -> ChatGLMTokenizer:
    """ChatGLM-6B's wrapper over the stand-in model of 501 pieces, which the golden outputs were made with."""
    return stand_in()


@pytest.fixture(scope="session")
def real_ids() -> ChatGLMTokenizer:
    """ChatGLM-6B's wrapper over 130344 pieces, of which those of the recorded texts have their names."""
    made = made_tokenizer("chatglm-6b")
    assert isinstance(made, ChatGLMTokenizer)
    return made


@pytest.fixture(scope="session")
def tokenizer_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``tokenizer.model`` of 64789 pieces, of which those of the recorded texts have their names."""
    file = tmp_path_factory.mktemp("made") / "tokenizer.model"
    file.write_bytes(chatglm2_model(golden("chatglm2_3.json")))
    return file


@pytest.fixture(scope="session")
def second(tokenizer_model: Path) -> ChatGLM2Tokenizer:
    """ChatGLM2-6B's."""
    return ChatGLM2Tokenizer(tokenizer_model)


@pytest.fixture(scope="session")
def third(tokenizer_model: Path) -> ChatGLM3Tokenizer:
    """ChatGLM3-6B's."""
    return ChatGLM3Tokenizer(tokenizer_model)


@pytest.fixture
def directory_with(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes files (text, bytes, or an object as JSON) into one directory."""

    def write(**files: Any) -> Path:
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".")
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return tmp_path

    return write
