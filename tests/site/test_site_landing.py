"""The landing page says on its first screen what the book is, shows a live figure, and starts the reader."""

import pytest
from playwright.sync_api import Browser
from visits import DESK, PHONE, SITE, visiting

BELOW = """height => ["h1", "h1 ~ p:not(.buttons)", "p.buttons a", "figure .glm-controls", "figure table"].filter(
  part => document.querySelector(part).getBoundingClientRect().bottom > height)"""


@pytest.mark.parametrize(("width", "height"), [(DESK, 900), (PHONE, 844)])
def test_one_screen_says_shows_and_starts(browser: Browser, width: int, height: int) -> None:
    with visiting(browser, (SITE / "book/index.html").as_uri(), width=width) as visit:
        visit.page.wait_for_selector("figure[data-ready='1']")
        assert visit.page.evaluate(BELOW, height) == []
