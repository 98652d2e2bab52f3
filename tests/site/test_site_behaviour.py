"""What a reader does: search, switch to dark, use the keyboard, read from disk, without scripts, without motion."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from visits import DESK, PHONE, SITE, WAIT, Visit, pages, read_to_the_end, visiting


def holds(name: str, text: str) -> bool:
    path = SITE / name
    return path.is_file() and text in path.read_text(encoding="utf-8")


FIGURES = [name for name in pages() if holds(name, 'class="glm-figure" data-figure=')]
CONTROLS = ".glm-figure :is(input, select, button, summary, [tabindex='0'])"
MOVING = """() => [...document.querySelectorAll("*")].filter(e => {
  const {transitionDuration, animationDuration} = getComputedStyle(e);
  return `${transitionDuration}, ${animationDuration}`.split(", ").some(one => parseFloat(one) > 0.001);
}).map(e => e.outerHTML.slice(0, 100))"""
LANDING = "book/index.html"


def test_the_book_has_figures() -> None:
    assert LANDING in FIGURES, "no figure on the landing page, or no built site: type make book"


@pytest.fixture(scope="module", params=pages())
def read(request: pytest.FixtureRequest, base: str, browser: Browser) -> Iterator[Visit]:
    """A page opened from disk by a reader who asked for stillness, and read to its end."""
    with visiting(browser, (SITE / request.param).as_uri(), reduced_motion="reduce") as visit:
        read_to_the_end(visit.page)
        yield visit


def test_a_page_works_from_disk_and_its_figures_come_alive(read: Visit) -> None:
    assert read.left_the_site(SITE.as_uri()) == []
    assert read.errors == []
    assert read.failures == []


def test_nothing_moves_for_a_reader_who_asked_for_stillness(read: Visit) -> None:
    assert read.page.evaluate(MOVING) == []


def test_plotly_loads_once_and_only_where_a_figure_needs_it(read: Visit) -> None:
    wanted = read.page.locator(".glm-figure[data-figure=plotly]:visible").count() > 0
    assert sum("plotly" in request.url for request in read.requests) == int(wanted)


def test_a_cell_for_a_live_kernel_says_so(read: Visit) -> None:
    cells = read.page.locator(".tag_live-kernel")
    if "/chapters/" in read.page.url:
        assert cells.count() >= 1, "every chapter has a control for a live kernel"
    for cell in cells.all():
        expect(cell).to_contain_text("This control needs a live kernel: make live")
        assert cell.locator(".cell_output").count() == 0


def test_the_keyboard_reaches_every_control_of_every_figure(read: Visit) -> None:
    page = read.page
    unreached = set(page.evaluate(NUMBER_CONTROLS, CONTROLS))
    assert unreached or not page.locator(".glm-figure[data-figure]:visible").count()
    if unreached:
        page.locator("article h1").click()
    presses = 0
    while unreached and (presses := presses + 1) <= 600:
        page.keyboard.press("Tab")
        unreached.discard(page.evaluate("document.activeElement.dataset.number"))
    names = [page.locator(f"[data-number='{n}']").evaluate("e => e.outerHTML.slice(0, 120)") for n in unreached]
    assert names == []


# Radio buttons are one stop of the keyboard, at the checked one; what a closed answer holds is no stop.
NUMBER_CONTROLS = """selector => [...document.querySelectorAll(selector)]
  .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0 && (e.type !== "radio" || e.checked))
  .map((e, number) => e.dataset.number = String(number))"""


def test_a_slider_moves_its_picture_by_the_keyboard(base: str, browser: Browser) -> None:
    with visiting(browser, base + LANDING) as visit:
        read_to_the_end(visit.page)
        figure = visit.page.locator(".glm-figure").first
        slider = figure.locator("input[type=range]").first
        visible = figure.locator("tbody td.ctx")
        before = visible.count()
        slider.focus()
        slider.press("ArrowLeft")
        assert visible.count() < before


def test_the_figure_stands_without_scripts(base: str, browser: Browser) -> None:
    with visiting(browser, base + LANDING, java_script_enabled=False) as visit:
        expect(visit.page.locator(".glm-figure .glm-picture").first).to_be_visible()
        expect(visit.page.locator(".buttons a").first).to_be_visible()


def search(page: Page, words: str) -> None:
    page.get_by_role("button", name="Search").locator("visible=true").first.click()
    page.locator("#pst-search-dialog input").fill(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_search_finds_a_term_and_leads_to_it(base: str, browser: Browser, width: int) -> None:
    with visiting(browser, base + LANDING, width) as visit:
        search(visit.page, "rotate_pairs")
        found = visit.page.locator("#search-results li a", has_text="Notation")
        expect(found.first).to_be_visible(timeout=WAIT)
        found.first.click()
        visit.page.wait_for_url(re.compile("notation.html"))
        assert visit.errors == []


def test_search_says_when_it_finds_nothing(base: str, browser: Browser) -> None:
    with visiting(browser, base + LANDING) as visit:
        search(visit.page, "xyzzyplugh")
        expect(visit.page.locator("#search-results")).to_contain_text("did not match any documents", timeout=WAIT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_system_and_then_the_reader(base: str, browser: Browser, scheme: str) -> None:
    with visiting(browser, base + LANDING, scheme=scheme) as visit:
        page = visit.page
        theme = "document.documentElement.dataset.theme"
        assert page.evaluate(theme) == scheme
        page.emulate_media(color_scheme={"light": "dark", "dark": "light"}[scheme])  # the evening comes
        page.wait_for_function("scheme => document.documentElement.dataset.theme !== scheme", arg=scheme, timeout=WAIT)
        page.emulate_media(color_scheme=scheme)
        button = page.get_by_role("button", name="Color mode").locator("visible=true").first
        other = {"light": "dark", "dark": "light"}[scheme]
        for _ in range(3):  # auto, light, dark
            button.click()
            if page.evaluate(theme) == other:
                break
        assert page.evaluate(theme) == other
        page.reload()
        assert page.evaluate(theme) == other


def test_buttons_of_the_landing_page_lead_to_pages_from_disk(base: str, browser: Browser) -> None:
    with visiting(browser, (SITE / LANDING).as_uri()) as visit:
        for address in visit.page.locator(".buttons a").evaluate_all("links => links.map(link => link.href)"):
            assert Path(address.removeprefix("file://")).is_file(), address


def test_a_phone_opens_and_closes_the_list_of_chapters(base: str, browser: Browser) -> None:
    with visiting(browser, base + LANDING, PHONE) as visit:
        page = visit.page
        chapter = page.get_by_role("link", name="Start here").locator("visible=true").first
        page.get_by_role("button", name="List of chapters").locator("visible=true").first.click()
        expect(page.locator("#pst-primary-sidebar-modal[open]")).to_be_visible()
        expect(chapter).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#pst-primary-sidebar-modal[open]")).to_have_count(0)
