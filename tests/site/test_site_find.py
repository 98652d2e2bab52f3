"""The search box over the tables of a page: it shows the rows that hold what is typed, and counts them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from visits import PHONE, SITE, Visit, visiting

SOURCE_MAP, GLOSSARY = "book/appendix/source_map.html", "book/appendix/glossary.html"
ROWS = """() => [...document.querySelectorAll(".bd-article tbody tr")].map(e => [e.textContent, e.checkVisibility()])"""


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[Visit]:
    """Somebody with a phone who opened the source map from disk."""
    with visiting(browser, (SITE / SOURCE_MAP).as_uri(), PHONE) as visit:
        yield visit


def find(reader: Visit, typed: str) -> list[str]:
    """Type into the box; the rows that are left, once the count says as many."""
    box = reader.page.get_by_role("searchbox", name="A name, or a part of it")
    box.fill(typed)
    rows = reader.page.evaluate(ROWS)
    left = [text for text, visible in rows if visible]
    count = f"{len(left)} of {len(rows)} rows" if typed.strip() else f"{len(rows)} rows"
    expect(reader.page.locator(".find-rows output")).to_have_text(count)
    return left


@pytest.mark.parametrize("typed", ["rotate_half", "  ROTATE_half llama ", "[gMASK]", "norm"])
def test_rows_that_hold_every_word_are_left_and_no_others(reader: Visit, typed: str) -> None:
    everything, left = find(reader, ""), find(reader, typed)
    wanted = [row for row in everything if all(word in row.lower() for word in typed.lower().split())]
    assert 0 < len(wanted) < len(everything)
    assert left == wanted


@pytest.mark.parametrize(
    ("typed", "official"),
    [
        ("transformer.layers.27.input_layernorm.weight", "transformer.layers.{i}.input_layernorm"),
        ("transformer.prefix_encoder.trans.0.bias", "transformer.prefix_encoder.trans.0"),
        ("self.query_key_value", "SelfAttention.query_key_value"),
        ("get_masks(input_ids,", "get_masks"),
        ("use_cache", "use_cache"),  # a key that says nothing about the network has its row, too
    ],
)
def test_a_name_as_code_has_it_is_found(reader: Visit, typed: str, official: str) -> None:
    left = find(reader, typed)
    assert any(official in row for row in left) and len(left) < 10


@pytest.mark.parametrize("typed", ["no such name", "<img src=x onerror=alert(1)>", "\\", ".*", "((", "$&", "𝕏"])
def test_any_text_is_only_text(reader: Visit, typed: str) -> None:
    assert find(reader, typed) == []
    expect(reader.page.get_by_role("heading", name="Parameters")).to_be_visible()  # the way on, and what was searched
    assert reader.page.locator(".bd-article img").count() == 0
    assert reader.errors == []


def test_the_keyboard_finds_and_escape_gives_all_back(reader: Visit) -> None:
    everything = find(reader, "")
    reader.page.locator("article h1").click()
    for _ in range(30):
        reader.page.keyboard.press("Tab")
        if reader.page.evaluate("document.activeElement.type === 'search'"):
            break
    reader.page.keyboard.type("swiglu")
    assert 0 < sum(visible for _, visible in reader.page.evaluate(ROWS)) < len(everything)
    reader.page.keyboard.press("Escape")
    assert [text for text, visible in reader.page.evaluate(ROWS) if visible] == everything


def test_long_names_break_on_a_phone(reader: Visit) -> None:
    find(reader, "")
    tables = reader.page.locator(".pst-scrollable-table-container")
    assert tables.count() >= 6
    assert tables.evaluate_all("boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).length") == 0


@pytest.mark.parametrize("name", [SOURCE_MAP, GLOSSARY])
def test_without_scripts_the_tables_stand_whole(browser: Browser, name: str) -> None:
    with visiting(browser, (SITE / name).as_uri(), PHONE, java_script_enabled=False) as visit:
        rows = visit.page.locator(".bd-article tbody tr")
        assert rows.count() > 100
        expect(rows.last).to_be_visible()
        assert visit.page.locator(".find-rows :is(input, output)").count() == 0
