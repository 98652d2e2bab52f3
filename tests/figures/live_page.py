"""A page from disk with every figure and page element on it, and a browser of its own to look at it with."""

import functools
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import plotly
from gallery import figures
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from glm_edu.figures import ASSETS, Figure
from glm_edu.model.masks import prefix_mask
from glm_edu.page import ProofRow, listing, model_map, proof

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
DESK, PHONE = 1440, 390
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

# Playwright allows one event loop a thread; the site's tests may hold one in the main thread.
THREAD = ThreadPoolExecutor(1, "browser")


def in_browser_thread(function: Callable) -> Callable:
    """Run a test or a fixture in the browser's thread."""

    @functools.wraps(function)
    def run(*arguments: object, **named: object) -> object:
        return THREAD.submit(function, *arguments, **named).result()

    return run


@dataclass
class Visit:
    """A page, its console errors and the addresses that it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def figure(self, name: str) -> Locator:
        """The figure of that name in the gallery, in view and ready."""
        figure = self.page.locator(f'[data-name="{name}"] > figure')
        figure.scroll_into_view_if_needed()
        self.page.wait_for_function("f => f.dataset.ready === '1'", arg=figure.element_handle())
        return figure


def elements() -> str:
    """The page elements as HTML."""
    rows = [ProofRow(True, "mask, `every` row", "0 of 169"), ProofRow(False, "with `<=`", "moves by 0.9")]
    parts = (model_map("mask", tensors_in="`scores`"), listing(prefix_mask, highlight=["key < context"]), proof(rows))
    return "".join(part.html for part in parts)


def write_page(folder: Path, shown: dict[str, Figure], extra: str = "", plotly_too: bool = True) -> str:
    """The address of a page with these figures, its scripts beside it as on the site."""
    for source in (ASSETS / "live.js", ASSETS / "live.css", *([PLOTLY] if plotly_too else [])):
        shutil.copy(source, folder)
    body = "".join(f'<div data-name="{name}">{figure.html}</div>' for name, figure in shown.items())
    page = folder / "page.html"
    page.write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Figures</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="live.css">'
        "<style>body{margin:0}[data-theme=light] body{background:#fdfcf9}[data-theme=dark] body{background:#16181d}"
        "main{max-width:46rem;margin:auto;padding:1rem}h1{color:#767676}</style>"
        f'<script src="live.js" defer></script><main><h1>Figures</h1>{extra}{body}</main></html>',
        encoding="utf-8",
    )
    return page.as_uri()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, address: str, width: int = DESK) -> Iterator[Visit]:
    """A visitor with reduced motion: what is asked for is there at once."""
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    visit = Visit(context.new_page())
    visit.page.on("request", lambda request: visit.requests.append(request.url))
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("console", lambda line: visit.errors.append(line.text) if line.type == "error" else None)
    visit.page.goto(address)
    yield visit
    context.close()


def read_to_the_end(page: Page) -> None:
    """Bring every figure into view and wait until it says that it is ready."""
    for figure in page.locator("figure.glm-figure").all():
        figure.scroll_into_view_if_needed()
        page.wait_for_function("f => f.dataset.ready === '1'", arg=figure.element_handle())


def everything(folder: Path) -> str:
    """The address of a page with all that there is."""
    return write_page(folder, figures(), elements())
