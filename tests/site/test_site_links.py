"""Every link, image, script and style of every built page leads somewhere inside the site, down to the anchor."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from visits import SITE, pages

LOADS = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}


class Links(HTMLParser):
    """Collects what a page links to, what it loads, and the places that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.targets.append(values["href"])
        if tag in LOADS and values.get(LOADS[tag]):
            self.loads.append(values[LOADS[tag]])


@cache
def parsed(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    return links


def broken(page: Path, target: str) -> str:
    """What is wrong with a link to a place in the site, or nothing."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return "" if parts.scheme in ("https", "http", "mailto") else f"{target}: unknown scheme"
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not path.is_file() or not path.is_relative_to(SITE):
        return f"{target}: no such file in the site"
    if parts.fragment and path.suffix == ".html" and unquote(parts.fragment) not in parsed(path).anchors:
        return f"{target}: no such anchor"
    return ""


@pytest.mark.parametrize("name", pages())
def test_every_link_leads_somewhere(name: str) -> None:
    page = SITE / name
    assert page.exists(), "There is no built site. Type: make book"
    assert [problem for target in parsed(page).targets if (problem := broken(page, target))] == []


@pytest.mark.parametrize("name", pages())
def test_everything_a_page_loads_lies_in_the_site(name: str) -> None:
    page = SITE / name
    assert page.exists(), "There is no built site. Type: make book"
    loads = [target for target in parsed(page).loads if not target.startswith("data:")]
    assert [target for target in loads if urlsplit(target).netloc] == []
    assert [problem for target in loads if (problem := broken(page, target))] == []
