"""``glm-edu chat``: a conversation at a terminal, one answer from a pipe; what is remembered, what stops what.

Mutations that must fail here: Ctrl-C ends the program, or forgets the half answer; a question without an answer stays;
clear forgets the system's words; an empty line is asked; the options are not passed on.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from glm_edu.cli import chat
from glm_edu.cli.command import main
from glm_edu.errors import InputError

Output = pytest.CaptureFixture[str]
Messages = list[dict[str, str]]


class Model:
    """Answers with the number of messages; ``stop`` and ``too long`` are what happens there."""

    def __init__(self) -> None:
        self.asked: list[Messages] = []

    def __call__(self, messages: Messages) -> Iterator[str]:
        self.asked.append(list(messages))
        yield "answer "
        if messages[-1]["content"] == "stop":
            raise KeyboardInterrupt
        if messages[-1]["content"] == "too long":
            raise InputError("The prompt has 9 tokens.")
        yield f"{len(messages)}"

    @property
    def last(self) -> list[str]:
        return [f"{message['role']}: {message['content']}" for message in self.asked[-1]]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """In place of what is loaded."""
    model = Model()
    monkeypatch.setattr(chat, "_answering", lambda given: model)
    return model


def _at_a_terminal(monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> None:
    typed = iter([*lines, EOFError])

    def read(prompt: str) -> str:
        line = next(typed)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)


def test_a_conversation_remembers_until_clear(model: Model, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    _at_a_terminal(monkeypatch, "hello", "  ", "again", "clear", "anew")
    assert main(["chat", "a", "--system", "be kind"]) == 0
    assert capsys.readouterr().out == "answer 2\nanswer 4\nanswer 2\n"
    assert [len(asked) for asked in model.asked] == [2, 4, 2]
    assert model.last == ["system: be kind", "user: anew"]
    assert [message["content"] for message in model.asked[1]] == ["be kind", "hello", "answer 2", "again"]


def test_ctrl_c_stops_the_answer_and_keeps_what_was_said(
    model: Model, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    _at_a_terminal(monkeypatch, "stop", KeyboardInterrupt, "go on")
    assert main(["chat", "a"]) == 0
    out, err = capsys.readouterr()
    assert model.last == ["user: stop", "assistant: answer ", "user: go on"]
    assert out == "answer \nanswer 3\n" and "(stopped)" in err and "(exit or Ctrl-D ends)" in err


def test_exit_ends_without_asking(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    _at_a_terminal(monkeypatch, "exit", "not read")
    assert main(["chat", "a"]) == 0 and not model.asked


def test_a_question_that_fails_is_forgotten_and_the_chat_goes_on(
    model: Model, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def refuse(messages: Messages) -> Iterator[str]:
        if messages[-1]["content"] == "too long":
            raise InputError("The prompt has 9 tokens.")
        return model(messages)

    monkeypatch.setattr(chat, "_answering", lambda given: refuse)
    _at_a_terminal(monkeypatch, "too long", "short")
    assert main(["chat", "a"]) == 0
    assert model.last == ["user: short"] and "error: The prompt has 9 tokens." in capsys.readouterr().err


def test_one_prompt_gets_one_answer(model: Model, capsys: Output) -> None:
    assert main(["chat", "a", "--prompt", "hello"]) == 0
    assert capsys.readouterr() == ("answer 1\n", "") and model.last == ["user: hello"]


def test_a_pipe_is_one_prompt_with_all_its_lines(model: Model, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("first\nsecond\n"))
    assert main(["chat", "a"]) == 0
    assert capsys.readouterr() == ("answer 1\n", "") and model.last == ["user: first\nsecond"]


@pytest.mark.parametrize("words, code", [(["--prompt", "stop"], 130), (["--prompt", "too long"], 1), ([], 1)])
def test_without_a_conversation_ctrl_c_and_errors_end(
    words: list[str], code: int, model: Model, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    assert main(["chat", "a", *words]) == code
    assert capsys.readouterr().err.strip() in ("Stopped.", "error: The prompt has 9 tokens.",
                                               "error: There is nothing to answer: the prompt is empty.")  # fmt: skip


@pytest.mark.usefixtures("unchecked")
def test_the_options_reach_the_model_and_the_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    from glm_edu.model.transformer import Transformer
    from glm_edu.text import tokenizer

    seen: dict[str, Any] = {}
    monkeypatch.setattr(tokenizer, "load_tokenizer", lambda *given: seen.setdefault("tokenizer", given))
    monkeypatch.setattr(Transformer, "from_pretrained", lambda *given: seen.setdefault("model", given))
    monkeypatch.setattr(
        sys.modules["glm_edu.text.chat"], "chat", lambda *given: iter([seen.setdefault("chat", given) and ""])
    )
    words = "--revision r --dtype float16 --quantize int4 --max-new-tokens 5 --temperature 0.5 --top-p 0.25 --top-k 7"
    assert main(["chat", "m", "--prompt", "hello", "--seed", "3", *words.split()]) == 0
    assert seen["tokenizer"] == ("m", "r") and seen["model"] == ("m", "float16", "cpu", "r", "int4")
    _, _, messages, streamed, *sampling, generator = seen["chat"]
    assert (messages, streamed) == ([{"role": "user", "content": "hello"}], True)
    assert sampling == [5, 0.5, 0.25, 7] and generator.initial_seed() == 3
