"""What the READMEs of training, data and models say can be run, opened and counted."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

from glm_edu import Transformer
from glm_edu.checkpoints.hub import SHIPPED, shipped_models
from glm_edu.training import loop
from glm_edu.training.build_poems import HELD_OUT
from glm_edu.training.poems import DATA, SPLITS, Poem, poems
from glm_edu.training.settings import CONFIGS, TANG_GLM

TRAINING = DATA.parents[1]
README = (TRAINING / "README.md").read_text(encoding="utf-8")
CARD = (DATA.parent / "README.md").read_text(encoding="utf-8")
CARDS = [
    TRAINING / "README.md",
    DATA.parent / "README.md",
    *(SHIPPED / name / "README.md" for name in shipped_models()),
]


def test_every_command_of_training_stands_in_its_readme_and_exists() -> None:
    named = set(re.findall(r"python -m (glm_edu[.\w]*)", README))
    assert [name for name in named if importlib.util.find_spec(name) is None] == []
    runnable = {f"glm_edu.training.{file.stem}" for file in TRAINING.glob("*.py") if "__name__ ==" in file.read_text()}
    assert runnable - {"glm_edu.training.__main__"} == named - {"glm_edu.training"}


def test_every_file_of_training_stands_in_its_readme() -> None:
    files = {file.name for file in TRAINING.glob("*.py")} - {"__init__.py"}
    assert files == set(re.findall(r"`(\w+\.py)`", README.split("## The files")[1]))


def test_every_config_that_is_named_exists() -> None:
    named = {name for card in CARDS for name in re.findall(r"--config ([\w-]+)", card.read_text(encoding="utf-8"))}
    assert named and named <= CONFIGS.keys()


class Asked(Exception):
    """Which poems a validation was going to see."""


def test_the_readme_counts_the_poems_of_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(held_out: list[Poem], *others: object, **named: object) -> None:
        raise Asked(len(held_out))

    monkeypatch.setattr(loop, "Batches", stop)
    with pytest.raises(Asked) as asked:
        loop.validate(Transformer(TANG_GLM), CONFIGS["tang-glm"])
    assert f"the same blanks of {asked.value} validation poems" in README


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.parent.name)
def test_links_of_the_cards_lead_to_files(card: Path) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", card.read_text(encoding="utf-8"))
    assert targets and [target for target in targets if not (card.parent / target).is_file()] == []


@pytest.mark.parametrize("name", shipped_models())
def test_the_example_of_a_card_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    card = (SHIPPED / name / "README.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    assert f'load_tokenizer("{name}")' in example
    exec(example, {})
    assert capsys.readouterr().out.endswith("\n")


def _rows(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("name", SPLITS)
def test_the_data_card_counts_as_the_data_does(name: str) -> None:
    counted = Counter(poem.form for poem in poems(name))
    counts = [counted[form] for form in _rows(CARD)["split"][:-1]]
    assert _rows(CARD)[name] == [f"{count:,}" for count in (*counts, counted.total())]


def test_the_data_card_tells_the_whole_and_how_many_are_known() -> None:
    assert f"holds {sum(len(poems(name)) for name in SPLITS):,} poems" in CARD
    characters = sum(len(line) for poem in poems("train") for line in poem.lines)
    assert f"The training split holds {characters:,} characters" in CARD
    assert f"the {len(HELD_OUT)} beginnings, from {HELD_OUT[0]} to {HELD_OUT[-1]}" in CARD
    known = {line for poem in poems("train") for line in poem.lines}
    for name in ("validation", "test"):
        lines = [line for poem in poems(name) for line in poem.lines]
        assert f"{name} {sum(line in known for line in lines)} of {len(lines):,}" in CARD
