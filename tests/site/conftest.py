"""One server and one browser for all of the site's tests. What is missing fails them with what to do, never skips."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from visits import CHROMIUM, SITE, launch, serving


@pytest.fixture(scope="session")
def base() -> Iterator[str]:
    """The address of the built site."""
    if not (SITE / "index.html").exists():
        pytest.fail(f"There is no built site in {SITE}. Type: make book", pytrace=False)
    with serving(SITE) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if not CHROMIUM.exists():
        pytest.fail(f"There is no {CHROMIUM}. Type: apt-get install chromium fonts-noto-cjk", pytrace=False)
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()
