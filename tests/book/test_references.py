"""What the book cites stands in ``book/references.bib``, and what stands there is cited."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from pybtex.database import Entry, parse_file

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "book").rglob("*.ipynb"))
ENTRIES: dict[str, Entry] = dict(parse_file(str(ROOT / "book/references.bib")).entries)
NAME = r"[A-Z][\w’'-]+"
AUTHORS = rf"(?<!\w)(?:Team )?({NAME}|nostalgebraist)(?: et al\.| (?:&|and) {NAME})?"
CITED = re.compile(rf"{AUTHORS} ((?:19|20)\d\d)\b(?!\.\d)")
MONTHS = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December"}  # fmt: skip


@cache
def prose(name: str) -> str:
    cells = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def first_author(entry: Entry) -> str:
    return " ".join(entry.persons["author"][0].last_names).strip("{}").split()[-1]


def known() -> set[tuple[str, str]]:
    return {(first_author(entry), entry.fields["year"]) for entry in ENTRIES.values()}


def cited(text: str) -> set[tuple[str, str]]:
    return {(author, year) for author, year in CITED.findall(text) if author not in MONTHS}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_page_cites_is_among_the_references(name: str) -> None:
    text = prose(name)
    numbers = {entry.fields.get("eprint") for entry in ENTRIES.values()}
    notes = " ".join(entry.fields.get("note", "") for entry in ENTRIES.values())
    assert cited(text) <= known()
    assert set(re.findall(r"arXiv[: ](\d{4}\.\d{5})", text)) <= numbers
    assert not {revision for revision in re.findall(r"\brev ([0-9a-f]{7})\b", text) if revision not in notes}


def test_every_paper_is_cited_somewhere() -> None:
    package = (path.read_text(encoding="utf-8") for path in (ROOT / "glm_edu").rglob("*.py"))
    text = "\n".join([*package, *map(prose, NOTEBOOKS)])
    papers = {key: entry for key, entry in ENTRIES.items() if entry.fields["keywords"] == "paper"}
    assert len(papers) >= 20
    names = {key: first_author(entry) for key, entry in papers.items()}
    unused = [
        key for key, entry in papers.items() if not re.search(rf"{names[key]}\b.{{0,40}}{entry.fields['year']}", text)
    ]
    assert unused == []


def test_each_reference_is_of_one_list() -> None:
    assert {entry.fields["keywords"] for entry in ENTRIES.values()} == {"paper", "official"}


def test_citations_are_found_in_every_form() -> None:
    text = "Du et al. 2022, Zhang & Sennrich 2019; Li and Liang 2021, Shazeer 2019, Team GLM 2024, in May 2023"
    assert cited(text) == {("Du", "2022"), ("Zhang", "2019"), ("Li", "2021"), ("Shazeer", "2019"), ("GLM", "2024")}
