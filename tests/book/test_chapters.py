"""Each chapter keeps to the template: so many words, figures, exercises and quiz items, counted in the notebook.

Words are those of the Markdown cells: no code blocks, no HTML, no addresses of links.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.name for path in (ROOT / "book/chapters").glob("*.ipynb"))
KINDS = (ROOT / "glm_edu/figures/live.js").read_text("utf-8").split("const KINDS = {")[1].split("}")[0]
LIVE = set(re.findall(r"^ +(\w+)(?:: (?!still)\w+)?,", KINDS, re.MULTILINE))  # kinds that a script gives a control
STRIP = "| ChatGLM-6B | ChatGLM2-6B, ChatGLM3-6B | LLaMA |"


@cache
def cells(name: str) -> list[dict]:
    return json.loads((ROOT / "book/chapters" / name).read_text(encoding="utf-8"))["cells"]


def prose(name: str) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in cells(name) if cell["cell_type"] == "markdown")


def tagged(name: str, tag: str) -> list[dict]:
    return [cell for cell in cells(name) if tag in cell["metadata"].get("tags", [])]


def pictures(name: str) -> list[str]:
    """The HTML of every figure that is stored, and a word for each stored image."""
    outputs = [output["data"] for cell in cells(name) for output in cell.get("outputs", []) if "data" in output]
    html = ["".join(data.get("text/html", "")) for data in outputs]
    images = ["image" for data in outputs if {"image/png", "image/svg+xml"} & data.keys()]
    return [page for page in html if 'class="glm-figure"' in page] + images


def words(text: str) -> list[str]:
    text = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    text = re.sub(r"<[^>\n]+>", " ", text.replace("`<sop>`", "`sop`"))
    text = re.sub(r"\]\([^)]*\)", "] ", text)
    return [word for word in text.split() if re.search(r"\w", word)]


@pytest.mark.parametrize("name", CHAPTERS)
def test_between_1200_and_1800_words(name: str) -> None:
    assert 1200 <= len(words(prose(name))) <= 1800


@pytest.mark.parametrize("name", CHAPTERS)
def test_at_most_150_shown_lines_of_code(name: str) -> None:
    hidden = {"hide-input", "remove-input", "remove-cell", "hide-cell"}
    shown = [
        line
        for cell in cells(name)
        if cell["cell_type"] == "code" and not hidden & set(cell["metadata"].get("tags", []))
        for line in "".join(cell["source"]).splitlines()
        if line.strip()
    ]
    assert len(shown) <= 150


@pytest.mark.parametrize("name", CHAPTERS)
def test_four_figures_and_one_is_live_without_a_kernel(name: str) -> None:
    found = pictures(name)
    kinds = {kind for page in found for kind in re.findall(r'data-figure="([^"]+)"', page)}
    assert len(found) >= 4
    assert kinds & LIVE or any("<input" in page for page in found)
    assert tagged(name, "live-kernel"), "no control that runs the model"


@pytest.mark.parametrize("name", CHAPTERS)
def test_three_exercises_and_three_quiz_items_that_explain(name: str) -> None:
    text = prose(name)
    assert re.findall(r"> \*\*Exercise (\d)", text)[:3] == ["1", "2", "3"]
    recap = text.split("## Recap")[1]
    assert len(re.findall(r"^\*\*\d\.\*\*.*?<details>.*?</details>", recap, re.DOTALL | re.MULTILINE)) >= 3


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_template_is_kept(name: str) -> None:
    text, code = prose(name), "".join("".join(cell["source"]) for cell in cells(name) if cell["cell_type"] == "code")
    for part in ("> **People ask** (", "> **Predict.**", STRIP, "> **Recap.**"):
        assert part in text, part
    for call in ("model_map(", "listing(", "proof("):
        assert call in code, call
    assert re.search(r"rev(ision)? [0-9a-f]{7}", text), "no official file with its revision"
