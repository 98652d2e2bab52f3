"""The command line: what each subcommand prints, its exit code, and one message for an error.

Mutations that must fail here: an error is a traceback, or exits with 0; a plan that does not fit exits with 0; info
downloads or reads weights; Ctrl-C exits with 1; the help has no examples.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from glm_edu import checkpoints
from glm_edu.checkpoints import hub
from glm_edu.cli import fetch, info
from glm_edu.cli.command import SUBCOMMANDS, main
from glm_edu.errors import CheckpointError

GOLDEN = Path(__file__).parents[1] / "golden"
Output = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("unchecked")


def _name(subcommand: object) -> str:
    return subcommand.__name__.rsplit(".", 1)[-1]


# help and usage


@pytest.mark.parametrize("name", ["", *map(_name, SUBCOMMANDS)])
def test_help_shows_examples_that_can_be_typed(name: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and f"glm-edu {name}".strip() in said.split("\n\n", 1)[1]
    assert max(map(len, said.splitlines())) <= 120


@pytest.mark.parametrize("words", ["", "sing", "fetch", "info", "plan tang-glm --context many", "chat x --loudly"])
def test_a_wrong_command_line_exits_with_2(words: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2 and "usage: glm-edu" in capsys.readouterr().err


# errors


@pytest.mark.parametrize("name", ["info", "plan", "fetch", "parity", "chat"])
def test_an_error_is_one_message_and_exits_with_1(name: str, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main([name, "no-such-model", *(["--prompt", "hello"] if name == "chat" else [])]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("error: There is no directory no-such-model; it is not a hub id")


@pytest.mark.parametrize(
    "raised, code, says",
    [(CheckpointError("broken"), 1, "error: broken\n"), (OSError(28, "No space left"), 1, "error: [Errno 28] No space"),
     (KeyboardInterrupt(), 130, "\nStopped.\n"), (torch.OutOfMemoryError(), 1, "error: The device has no")],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)  # fmt: skip
def test_how_it_ends(
    raised: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def fail(given: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr(fetch, "run", fail)
    assert main(["fetch", "a"]) == code
    assert capsys.readouterr().err.startswith(says)


def test_a_warning_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(fetch, "run", lambda given: warnings.warn("odd weights", UserWarning, 1) or 0)
    assert main(["fetch", "a"]) == 0
    assert capsys.readouterr().err == "warning: odd weights\n"


def test_as_a_program_whose_reader_leaves_early() -> None:
    """Two things that only a process of its own shows: python -m glm_edu runs it, and a closed pipe is no traceback."""
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "glm_edu", "fetch", "--list"]
    run = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert (run.returncode, run.stderr) == (0, "")


# info, fetch, plan


def test_info_says_what_lies_there(capsys: Output) -> None:
    assert main(["info", str(GOLDEN / "chatglm2_prefill")]) == 0
    said = capsys.readouterr().out
    size = (GOLDEN / "chatglm2_prefill" / "model.safetensors").stat().st_size
    for words in ("RMSNorm", "x + f(norm(x))", "float32", "tensors", "tokenizer  none", f"{size / 1000:.3g} KB"):
        assert words in said, words


def test_info_needs_no_weights(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "config.json").write_text((GOLDEN / "chatglm1_gmask" / "config.json").read_text())
    (tmp_path / "ice_text.model").write_bytes(b"")
    assert main(["info", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "weights  none here" in said and "ice_text.model, SentencePiece" in said


def test_info_on_a_model_of_the_hub_fetches_no_weights(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    asked = []
    monkeypatch.setattr(hub, "_fetch", lambda *given: asked.append(given) or GOLDEN / "chatglm2_prefill")
    assert main(["info", "chatglm2-6b", "--revision", "v1.0"]) == 0
    assert asked == [("chatglm2-6b", "v1.0", False)] and "RMSNorm" in capsys.readouterr().out


def test_info_names_the_tokenizer_file_that_is_used() -> None:
    source = Path(sys.modules["glm_edu.text.tokenizer"].__file__ or "").read_text(encoding="utf-8")
    assert re.findall(r'if \(directory / "(.*)"\)\.is_file\(\)', source) == list(info.TOKENIZERS)


def test_fetch_prints_the_directory_alone(capsys: Output) -> None:
    assert main(["fetch", "tang-glm"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert (Path(line) / "model.safetensors").is_file()


def test_fetch_lists_the_names(capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fetch", "--list"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert ended.value.code == 0 and {"tang-glm", "smollm2-135m", "chatglm-6b", "chatglm2-6b", "chatglm3-6b"} <= {
        *names
    }


@pytest.mark.parametrize("fits", [True, False])
def test_plan_prints_the_plan_and_its_exit_code_is_the_answer(
    fits: bool, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    class Planned:
        def __init__(self, *given: object) -> None:
            self.given, self.fits = given, fits

        def __str__(self) -> str:
            return f"the plan for {self.given}"

    monkeypatch.setattr(checkpoints, "plan", Planned)
    words = "plan tang-glm --context 100 --batch 2 --dtype float32 --quantize int4 --device mps --revision r"
    assert main(words.split()) == (0 if fits else 1)
    assert capsys.readouterr().out == "the plan for ('tang-glm', 'float32', 'mps', 100, 2, 'int4', 'r')\n"
