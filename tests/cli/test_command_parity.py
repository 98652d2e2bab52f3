"""``glm-edu parity``: stored cases and a user's own recording; the first tensor that differs is named.

Mutations that must fail here: a tensor that was not compared is not told of; nothing compared counts as equal; the
tolerances of the command line are not used; a recording without a case.json is refused.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from glm_edu.cli.command import main

GOLDEN = Path(__file__).parents[1] / "golden"
Output = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's directory: weights and a recording, no case.json."""
    for name in ("config.json", "model.safetensors", "io.safetensors"):
        shutil.copy(GOLDEN / "chatglm1_gmask" / name, tmp_path)
    return tmp_path


def _record(directory: Path, **changes: torch.Tensor | None) -> None:
    """Change the recording; None takes a tensor out."""
    tensors = load_file(directory / "io.safetensors") | {name.replace("__", "."): t for name, t in changes.items()}
    save_file({name: t for name, t in tensors.items() if t is not None}, directory / "io.safetensors")


@pytest.mark.parametrize("case", ["chatglm1_decode", "chatglm2_ptuning", "llama_gqa"])
def test_a_stored_case_is_equal_run_by_run(case: str, capsys: Output) -> None:
    assert main(["parity", str(GOLDEN / case), "--all"]) == 0
    said = capsys.readouterr().out
    assert f"equal   {case}" in said and "blocks.0.attention.probs" in said and "not compared" not in said


def test_a_recording_of_the_users_needs_no_case_file(mine: Path, capsys: Output) -> None:
    assert main(["parity", str(mine)]) == 0
    assert capsys.readouterr().out.startswith("equal: ")


def test_the_first_tensor_that_differs_is_named(mine: Path, capsys: Output) -> None:
    weights = load_file(mine / "model.safetensors")
    name = "transformer.layers.1.attention.dense.weight"
    save_file(weights | {name: weights[name] * 1.01}, mine / "model.safetensors")
    assert main(["parity", str(mine)]) == 1
    assert "first divergent tensor: blocks.1.attention.output" in capsys.readouterr().out
    assert main(["parity", str(mine), "--atol", "100"]) == 0


def test_the_tolerances_of_the_command_line_count(mine: Path) -> None:
    assert main(["parity", str(mine), "--atol", "1e-9", "--rtol", "0"]) == 1
    assert main(["parity", str(mine), "--dtype", "bfloat16"]) == 1
    assert main(["parity", str(mine), "--dtype", "bfloat16", "--atol", "3"]) == 0


def test_another_recording_than_the_one_beside_the_weights(
    mine: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    shutil.move(mine / "io.safetensors", other / "mine.safetensors")
    assert main(["parity", str(mine)]) == 1
    assert main(["parity", str(mine), "--recording", str(other / "mine.safetensors")]) == 0


def test_what_was_not_compared_is_told(mine: Path, capsys: Output) -> None:
    _record(mine, out__hidden_states=torch.zeros(1), out__block0=torch.zeros(1))
    assert main(["parity", str(mine)]) == 0
    assert "not compared, because no tensor here has that name: block0, hidden_states" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change, says",
    [({"in__input_ids": None}, "Expected: the prompt, in.input_ids"),
     ({"in__input_ids": torch.ones(1, 4)}, "whole numbers of [batch, seq]"),
     ({"in__input_ids": torch.ones(4, dtype=torch.long)}, "whole numbers of [batch, seq]"),
     ({"in__input_ids": torch.full((1, 4), 9999)}, "input_ids run from 9999 to 9999")],
    ids=["no prompt", "no ids", "no batch", "no such id"],
)  # fmt: skip
def test_a_prompt_that_cannot_be_run_is_refused(
    mine: Path, change: dict[str, torch.Tensor | None], says: str, capsys: Output
) -> None:
    _record(mine, **change)
    assert main(["parity", str(mine)]) == 1
    assert says in capsys.readouterr().err


def test_nothing_to_compare_is_an_error(mine: Path, capsys: Output) -> None:
    save_file({"in.input_ids": load_file(mine / "io.safetensors")["in.input_ids"]}, mine / "io.safetensors")
    assert main(["parity", str(mine)]) == 1
    _record(mine, out__other=torch.zeros(1))
    assert main(["parity", str(mine)]) == 1
    assert "nothing under out." in (said := capsys.readouterr().err) and "no tensor here is called other" in said


@pytest.mark.parametrize("broken", ["io.safetensors", "case.json"])
def test_a_broken_file_is_named(broken: str, mine: Path, capsys: Output) -> None:
    (mine / broken).write_bytes(b"{" if broken == "io.safetensors" else json.dumps({"runs": [{}]}).encode())
    assert main(["parity", str(mine)]) == 1
    assert f"{broken} " in capsys.readouterr().err


def test_a_directory_without_a_recording_says_what_it_should_hold(capsys: Output) -> None:
    assert main(["parity", "tang-glm"]) == 1
    assert "There is no " in (said := capsys.readouterr().err) and "out.blocks.0.output and so on" in said
