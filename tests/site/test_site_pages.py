"""Every built page, on a desk and on a phone, in light and in dark: nothing leaves, nothing breaks, all can read it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from accessible import violations
from playwright.sync_api import Browser
from visits import DESK, PHONE, WAIT, Visit, pages, read_to_the_end, visiting

FIRST_VIEW = 500_000  # bytes over the wire, live figures' plotting library apart

# Elements of the article that stick out of the window and stand in no frame that scrolls.
STICKING_OUT = """() => {
  const frame = e => /auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX);
  const scrolls = e => e && e !== document.body && (frame(e) || scrolls(e.parentElement));
  const hidden = e => e.closest("mjx-assistive-mml, .visually-hidden, details:not([open]), .bd-sidebar-secondary");
  return [...document.querySelectorAll("main *")].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width > 1 && box.right > innerWidth + 1 && !scrolls(e.parentElement) && !hidden(e);
  }).map(e => e.outerHTML.slice(0, 120));
}"""
BROKEN_IMAGES = "() => [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
UNSET_FORMULAS = "() => [...document.querySelectorAll('mjx-merror')].map(e => e.textContent)"
STILL = "() => document.getAnimations().every(a => a.playState !== 'running')"


def views() -> list[tuple[str, int, str]]:
    """Each page wide in light and narrow in dark; those that hold every part of the frame the other way round too.

    Colours come from one table, so a page's dark colours are the same wide and narrow.
    """
    found = [(page, *view) for page in pages() for view in ((DESK, "light"), (PHONE, "dark"))]
    frame = [page for page in pages() if page in ("book/index.html", "search.html")]
    return found + [(page, *view) for page in frame for view in ((DESK, "dark"), (PHONE, "light"))]


@dataclass
class Seen:
    """What one visit to one page showed."""

    left: list[str]
    errors: list[str]
    failures: list[str]
    weight: dict[str, int]
    overflow: int = 0
    sticking_out: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)


def look(visit: Visit, base: str) -> Seen:
    page = visit.page
    seen = Seen([], visit.errors, visit.failures, visit.weight(without="plotly"))
    read_to_the_end(page)
    seen.overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    seen.sticking_out = page.evaluate(STICKING_OUT)
    seen.broken = page.evaluate(BROKEN_IMAGES) + page.evaluate(UNSET_FORMULAS)
    page.wait_for_function(STILL, timeout=WAIT)
    seen.axe = violations(page)
    seen.left = visit.left_the_site(base)
    return seen


@pytest.fixture(scope="module", params=views(), ids=lambda view: "-".join(map(str, view)))
def seen(request: pytest.FixtureRequest, base: str, browser: Browser) -> Iterator[Seen]:
    name, width, scheme = request.param
    with visiting(browser, base + name, width, scheme) as visit:
        visit.page.wait_for_function(
            "theme => document.documentElement.dataset.theme === theme", arg=scheme, timeout=WAIT
        )
        yield look(visit, base)


def test_no_request_leaves_the_site(seen: Seen) -> None:
    assert seen.left == []


def test_no_error_in_the_console(seen: Seen) -> None:
    assert seen.errors == []


def test_every_response_is_good(seen: Seen) -> None:
    assert seen.failures == []


def test_no_broken_image_or_formula(seen: Seen) -> None:
    assert seen.broken == []


def test_nothing_sticks_out_sideways(seen: Seen) -> None:
    assert (seen.overflow, seen.sticking_out) == (0, [])


def test_axe_finds_nothing(seen: Seen) -> None:
    assert seen.axe == []


def test_axe_finds_what_was_planted(base: str, browser: Browser) -> None:
    """Pale text behind many of the same kind, the same text on a ground of its own, and an image without words."""
    with visiting(browser, base + "book/index.html") as visit:
        visit.page.locator("article").evaluate(
            """article => article.insertAdjacentHTML("beforeend", `${"<p>good</p>".repeat(9)}
              <p style="color:#bbb" id="pale">pale</p><div style="background:#222"><p id="dark">dark</p></div>
              <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" id="silent">`)"""
        )
        found = violations(visit.page)
    assert sorted(line.partition(" ")[0] + line.split("'")[1] for line in found) == [
        "color-contrast:#dark", "color-contrast:#pale", "image-alt:#silent",
    ]  # fmt: skip


def test_first_view_is_light(seen: Seen) -> None:
    heaviest = sorted(seen.weight.items(), key=lambda item: -item[1])[:5]
    assert sum(seen.weight.values()) <= FIRST_VIEW, heaviest
