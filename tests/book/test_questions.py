"""Questions people ask: each has its thread, a cell whose output holds the numbers of the answer, and a chapter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "book/appendix/questions.ipynb"
CELLS = json.loads(PAGE.read_text(encoding="utf-8"))["cells"]
# a heading with threads and answer, the cell, the way to a chapter
STARTS = [i for i, cell in enumerate(CELLS) if re.search(r"^### ", "".join(cell["source"]), re.MULTILINE)]
NAMES = r"ChatGLM\d?-\dB|GLM-4|Tang GLM \d|rev [0-9a-f]{7}|(?:b?float|int)\d+|PyTorch \d|\[.*?\]\(.*?\)|#\d+|v2\b"


def text(i: int) -> str:
    return "".join(CELLS[i]["source"])


def answer(i: int) -> str:
    return text(i).split(".*\n", 1)[1].strip()


def printed(i: int) -> str:
    return "".join("".join(output.get("text", "")) for output in CELLS[i]["outputs"])


def numbers(words: str) -> set[str]:
    return set(re.findall(r"\d[\d,.]*\d%?|\d%?", words))


def test_there_are_twenty_and_the_index_leads_to_each() -> None:
    index = re.findall(r'<a href="#([^"]+)">([^<]+)</a>', text(0))
    there = [re.search(r'<a id="([^"]+)"></a>\n\n### (.+)', text(i)) for i in STARTS]
    assert index == [found.groups() for found in there if found]
    assert len(index) == len(set(index)) == 20
    groups = re.findall(r"^## (.+)", "\n".join(map(text, STARTS)), re.MULTILINE)
    assert groups == re.findall(r"^\*\*(.+)\*\*$", text(0), re.MULTILINE)


@pytest.mark.parametrize("i", STARTS, ids=lambda i: CELLS[i]["id"])
def test_a_question_has_a_thread_a_short_cell_and_a_chapter(i: int) -> None:
    assert re.search(r"^\*Asked in [\w.-]+ #\d+.*\.\*$", text(i), re.MULTILINE)
    assert 2 <= len(re.findall(r"[.?!](?: \(.*\)\.)?$", answer(i), re.MULTILINE)) <= 5
    lines = [line for line in text(i + 1).splitlines() if line.strip()]
    assert printed(i + 1) and len(lines) <= 10 and max(map(len, lines)) <= 84
    chapters = re.findall(r"\]\((\.\./chapters/[^)]+)\)", text(i + 2))
    assert chapters and all((PAGE.parent / chapter).is_file() for chapter in chapters)


@pytest.mark.parametrize("i", STARTS, ids=lambda i: CELLS[i]["id"])
def test_every_number_of_an_answer_is_printed_by_its_cell(i: int) -> None:
    assert numbers(re.sub(NAMES, " ", answer(i))) - numbers(printed(i + 1)) == set()


def test_at_most_2600_words() -> None:
    prose = "\n".join(text(i) for i, cell in enumerate(CELLS) if cell["cell_type"] == "markdown")
    prose = re.sub(r"\]\([^)]*\)|<[^>\n]+>", " ", prose.replace("`<sop>`", "`sop`").replace("`<eop>`", "`eop`"))
    assert len([word for word in prose.split() if re.search(r"\w", word)]) <= 2600
