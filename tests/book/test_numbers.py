"""A number in prose is one that its page computes: it stands in the code or in the output of a cell, or it fails here.

Not asked of headings, of what people asked and what an exercise gives, of links, names, versions, dates and sources.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
NOTEBOOKS = sorted(path.relative_to(BOOK).as_posix() for path in BOOK.rglob("*.ipynb"))
NUMBER = re.compile(r"(?<![\w#./-])(\d[\d,]*\.\d+|\d[\d,]*\d|\d(?= ?%))(?![\w-])")
ELSEWHERE = re.compile(
    r"^#[^\n]*|^\|[^\n]*\]\([^\n]*|^\d+\. "  # headings, rows and items of an index
    r"|^> \*\*(?:People ask|Exercise)[^\n]*(?:\n>[^\n]*)*|^\*\*\d+\.\*\*[^\n]*"  # questions
    r"|```.*?```|`[^`\n]*`|\$[^$\n]*\$|\[[^\]\n]*\]\([^)\n]*\)|<a [^\n]*?</a>|<[^>\n]*>"  # code, symbols, links, markup
    r"|(?:Chat)?GLM\d?-\d+B|LLaMA-\d+B|SmolLM2-\d+M|#\d+|rev \w{7}|(?:b?float|int)\d+"  # names
    r"|\b(?:transformers|PyTorch|since|arXiv|sections?|chapters?) [\d.]+(?: and [\d.]+)?|\b(?:19|20)\d\d\b",
    re.MULTILINE | re.DOTALL,
)


def cells(name: str, kind: str) -> list[dict]:
    found = json.loads((BOOK / name).read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def computed(name: str) -> set[str]:
    """Every number in the code and the outputs of a notebook; styles and scripts apart."""
    text = []
    for cell in cells(name, "code"):
        text += ["".join(cell["source"])]
        for output in cell["outputs"]:
            data = output.get("data", {})
            text += ["".join(output.get("text", "")), "".join(data.get("text/plain", ""))]
            text += [re.sub(r"<style>.*?</style>", "", "".join(data.get("text/html", "")), flags=re.DOTALL)]
    return {plain(number) for number in re.findall(r"\d[\d,]*\.?\d*", " ".join(text))}


def plain(number: str) -> str:
    return number.replace(",", "").rstrip(".")


def typed(name: str) -> list[str]:
    """The numbers of a notebook's prose."""
    prose = "\n\n".join("".join(cell["source"]) for cell in cells(name, "markdown")).split("### Sources")[0]
    return NUMBER.findall(ELSEWHERE.sub(" ", prose))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_number_in_prose_is_computed_on_its_page(name: str) -> None:
    known = computed(name)
    assert [number for number in typed(name) if plain(number) not in known] == []


def test_a_number_that_no_cell_computes_is_found() -> None:
    text = "# Part 10\n\nThe loss is 4.14, of 1,200 tokens. `7.7` is code, [chapter 12](12.ipynb) a link, 93 % not."
    assert NUMBER.findall(ELSEWHERE.sub(" ", text)) == ["4.14", "1,200", "93"]
