"""One browser and one page with every figure, shared by the tests of live.js; each test gets a fresh visit."""

from collections.abc import Iterator

import pytest
from live_page import CHROMIUM, THREAD, Visit, chromium, everything, visiting
from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser that lives in its own thread, beside the one of the site's tests."""
    if not CHROMIUM.exists():
        pytest.fail(f"There is no {CHROMIUM}. Type: apt-get install chromium fonts-noto-cjk", pytrace=False)
    running = chromium()
    yield THREAD.submit(running.__enter__).result()
    THREAD.submit(running.__exit__, None, None, None).result()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page on disk with every figure and every page element."""
    return everything(tmp_path_factory.mktemp("figures"))


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """A fresh visitor on a desk."""
    opened = visiting(browser, address)
    yield THREAD.submit(opened.__enter__).result()
    THREAD.submit(opened.__exit__, None, None, None).result()
