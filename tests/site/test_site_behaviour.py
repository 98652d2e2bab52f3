"""What a reader does on the landing page: search, switch to dark, move a slider, read without scripts."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from visits import DESK, PHONE, SITE, WAIT, read_to_the_end, visiting

LANDING = "book/index.html"


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
