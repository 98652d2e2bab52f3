"""The README keeps its word: its example prints what it says, its picture is there, each dependency is explained."""

import re
import subprocess
import sys

import pytest
from visits import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def block(language: str, after: str = "") -> str:
    """The first fenced block in ``language`` after some words."""
    found = re.search(rf"```{language}\n(.*?)```", README.split(after, 1)[1] if after else README, re.DOTALL)
    assert found, f"no {language} block in README.md"
    return found[1]


def test_the_example_prints_what_the_readme_says() -> None:
    run = subprocess.run([sys.executable, "-c", block("python")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == block("", after="It prints:")


def test_the_example_is_short() -> None:
    assert len([line for line in block("python").splitlines() if line.strip()]) <= 20


def test_the_pictures_are_there_and_light() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 4  # the landing page and three chapters
    for picture in pictures:
        assert 20_000 < (ROOT / picture).stat().st_size <= 300_000


@pytest.mark.parametrize("name", re.findall(r"^([A-Za-z0-9-]+)==", REQUIREMENTS, re.MULTILINE))
def test_the_readme_says_why_each_package_is_there(name: str) -> None:
    assert f"`{name}`" in README.split("## Why each dependency")[1]


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_to_files(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#:]+)\)", text)]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"make ([a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert {"book", "test", "live"} <= named
    assert [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
