"""The glossary: sorted, in two languages, and each term stands on the page that it leads to."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from glm_edu.page.glossary import PAGES, TERMS, Term, glossary

BOOK = Path(__file__).resolve().parents[2] / "book"


@cache
def everything_on(page: str) -> str:
    """The words of a page: its text, its code and what the code displays."""
    cells = json.loads((BOOK / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    return json.dumps(cells, ensure_ascii=False).lower()


def name_of(term: Term) -> str:
    return term.english.split(",")[0].strip("`").lower()


@pytest.mark.parametrize("page", PAGES.values())
def test_every_page_exists(page: str) -> None:
    assert (BOOK / f"{page}.ipynb").is_file()


@pytest.mark.parametrize("term", TERMS, ids=name_of)
def test_a_term_stands_on_its_page(term: Term) -> None:
    """A name of several words may stand there in parts, as "heads" and "attention" do."""
    words = [word for word in re.split(r"[ -]", name_of(term)) if word not in ("of", "the")]
    assert all(word[:6].rstrip("s") in everything_on(term.page) for word in words)


def test_terms_are_sorted_and_named_once() -> None:
    names = [re.sub("[^a-z0-9 ]", "", name_of(term)) for term in TERMS]
    assert names == sorted(names)
    assert len({term.english for term in TERMS}) == len(TERMS) >= 60


def test_every_term_has_chinese_and_a_sentence() -> None:
    names = {"DeepNorm", "P-Tuning v2"}  # stay as they are in Chinese texts
    assert not [
        term.english for term in TERMS if not re.search("[\u4e00-\u9fff]", term.chinese) and term.chinese not in names
    ]
    assert not [term.english for term in TERMS if not re.fullmatch(r"[A-Za-z0-9-].*\w\.", term.meaning)]


def test_the_table_has_a_row_and_a_link_for_each_term() -> None:
    rows = glossary().splitlines()[2:]
    assert len(rows) == len(TERMS)
    assert rows[0].startswith("| **ablation** | 消融 | ")
    assert rows[0].endswith(" [chapter\xa016](../chapters/16_looking_inside.ipynb) |")
    assert all(row.count(" | ") == 2 for row in rows), "a bar inside a cell"
