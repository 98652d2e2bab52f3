"""The museum of bugs: every exhibit has all its parts, runs, shows its mistake, and names tests that exist.

Mutations: an exhibit without its figure, a caption that says nothing to notice or quotes the fix, a verdict above the
figure, or a figure drawn twice, and a test here fails.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path

import pytest

from glm_edu.parity import MISTAKES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book/appendix/bug_museum.ipynb"
CELLS = json.loads(PAGE.read_text(encoding="utf-8"))["cells"]
PROSE = "\n\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
TITLE = re.compile(r"^### (\d+ · .+)$", re.MULTILINE)
CLAIM = re.compile(r"^> \*\*People ask\*\* \((.+?), in our words\): .{40,}$", re.MULTILINE)
ANSWER = re.compile(
    r"^What is wrong\?\n\n<details><summary>Answer</summary>\n\n(.+)"
    r"\nMore: \[chapter (\d+)\]\(\.\./chapters/(.+?\.ipynb)\)\."
    r"\n\n\*\*Fix\.\*\* (.+)\n\n\*\*Caught by\*\* (.+)\.\n\n</details>$",
    re.DOTALL,
)
FIGURE = re.compile(r'<figure class="glm-figure" data-figure="(\w+)">.*</figure>', re.DOTALL)
CAPTION = re.compile(r"<figcaption>(.+?)</figcaption>", re.DOTALL)
LINES = 15  # of the code that draws, folded away
PLANTED = "test_mistake_is_caught_where_it_is_made"


@dataclass(frozen=True)
class Exhibit:
    """The cells from one title to the next, and what the first and the last of them say."""

    name: str
    thread: str
    code: list[dict]
    answer: re.Match[str] | None

    @property
    def verdict(self) -> str:
        """The rows that the last code cell shows, in words."""
        return "".join(self.code[-1]["outputs"][0]["data"]["text/plain"])

    @property
    def figures(self) -> list[str]:
        """The HTML of the pictures, and "" for each cell between the broken code and the verdict that draws none."""
        pages = ["".join(cell["outputs"][0].get("data", {}).get("text/html", "")) for cell in self.code[1:-1]]
        return ["".join(found[0] for found in FIGURE.finditer(page)) for page in pages]


def exhibits() -> list[Exhibit]:
    found = []
    starts = [i for i, cell in enumerate(CELLS) if TITLE.search("".join(cell["source"]))]
    for start in starts:
        opening = "".join(CELLS[start]["source"])
        end = next(i for i in range(start + 1, len(CELLS)) if CELLS[i]["cell_type"] == "markdown")
        name, claim = TITLE.findall(opening)[0], CLAIM.findall(opening)
        closing = ANSWER.match("".join(CELLS[end]["source"]))
        found.append(Exhibit(name, "".join(claim), CELLS[start + 1 : end], closing))
    return found


ALL = exhibits()


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_exhibits_are_counted_through_and_enough() -> None:
    assert [exhibit.name.split(" · ")[0] for exhibit in ALL] == [str(i + 1) for i in range(len(ALL))]
    assert len(ALL) >= 14
    assert len({exhibit.thread for exhibit in ALL}) == len(ALL)


@pytest.mark.parametrize("exhibit", ALL, ids=lambda exhibit: exhibit.name)
def test_each_exhibit_has_thread_code_question_answer_and_fix(exhibit: Exhibit) -> None:
    assert re.search(r"\w #\d+", exhibit.thread)
    assert exhibit.answer, "the answer has another form"
    assert (PAGE.parent / "../chapters" / exhibit.answer[3]).is_file()
    assert int(exhibit.answer[3][:2]) == int(exhibit.answer[2])
    shown, *hidden = exhibit.code
    assert not shown["metadata"].get("tags"), "the broken code is hidden"
    assert "".join(shown["outputs"][0]["text"]).strip(), "the broken code shows nothing"
    assert all(cell["metadata"]["tags"] == ["hide-input"] and cell["outputs"] for cell in hidden)


@pytest.mark.parametrize("exhibit", ALL, ids=lambda exhibit: exhibit.name)
def test_each_exhibit_shows_its_mistake_before_the_answer(exhibit: Exhibit) -> None:
    assert len(exhibit.figures) == 1 and exhibit.figures[0], "one figure, between the broken code and the verdict"
    assert len([line for line in exhibit.code[1]["source"] if line.strip()]) <= LINES
    (caption,) = CAPTION.findall(exhibit.figures[0])
    assert re.search(r"<b>Notice .{8,}</b>", caption), "the caption does not say what to notice"
    assert exhibit.answer
    fix = [code for code in re.findall(r"`([^`]+)`", exhibit.answer[4]) if len(code) > 1]
    assert not [code for code in fix if code in unescape(caption)], "the caption gives the answer away"


def test_no_two_exhibits_show_the_same_picture() -> None:
    captions = [CAPTION.findall(figure)[0] for exhibit in ALL for figure in exhibit.figures]
    assert len(set(captions)) == len(captions)
    assert len({kind for exhibit in ALL for figure in exhibit.figures for kind in FIGURE.findall(figure)}) >= 6


@pytest.mark.parametrize("exhibit", ALL, ids=lambda exhibit: exhibit.name)
def test_each_exhibit_is_wrong_as_written_and_right_when_mended(exhibit: Exhibit) -> None:
    assert re.fullmatch(r"glm-proof: differs, .+; equal, .+, 0", exhibit.verdict)


@pytest.mark.parametrize("exhibit", ALL, ids=lambda exhibit: exhibit.name)
def test_each_named_test_exists(exhibit: Exhibit) -> None:
    assert exhibit.answer
    named = exhibit.answer[5].split("\nand ")
    for test in named:
        path, function, entry = re.fullmatch(r"`(tests/\S+\.py)::(test_\w+)(?:\[(.+)\])?`", test).groups()  # type: ignore[union-attr]
        assert function in functions(path), test
        assert (function == PLANTED) == bool(entry), test
        assert not entry or entry in {mistake.name for mistake in MISTAKES}, test


def test_the_table_lists_the_exhibits() -> None:
    prose = PROSE.replace("<wbr>", "")  # where a long name may break
    rows = re.findall(r"^\| (\d+ · .+?) \| \[(\d+)\]\(\.\./chapters/(.+?)\) \| (.+?) \|$", prose, re.MULTILINE)
    assert rows == [(e.name, e.answer[2], e.answer[3], e.thread) for e in ALL if e.answer]


def test_it_can_be_read_in_one_sitting() -> None:
    text = re.sub(r"\]\([^)]*\)|<[^>\n]+>|`tests/[^`]+`", " ", PROSE)
    assert len([word for word in text.split() if re.search(r"\w", word)]) <= 2500
