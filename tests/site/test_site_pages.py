"""Every built page, on a desk and on a phone, in light and in dark: nothing leaves, nothing breaks, all can read it.

The desk reads from a server, the phone from disk and in stillness; each then goes on by the keyboard, still.
"""

from dataclasses import dataclass, field

import pytest
from accessible import violations
from playwright.sync_api import Browser, Page
from visits import DESK, PHONE, SITE, WAIT, Visit, pages, read_to_the_end, visiting

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
CONTROLS = ".glm-figure :is(input, select, button, summary, [tabindex='0'])"
# Radio buttons are one stop of the keyboard, at the checked one; what a closed answer holds is no stop.
NUMBER_CONTROLS = """selector => [...document.querySelectorAll(selector)]
  .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0 && (e.type !== "radio" || e.checked))
  .map((e, number) => e.dataset.number = String(number))"""
MOVING = """() => [...document.querySelectorAll("*")].filter(e => {
  const {transitionDuration, animationDuration} = getComputedStyle(e);
  return `${transitionDuration}, ${animationDuration}`.split(", ").some(one => parseFloat(one) > 0.001);
}).map(e => e.outerHTML.slice(0, 100))"""
SILENT = """() => [...document.querySelectorAll(".tag_live-kernel")]
  .filter(e => !e.textContent.includes("needs a live kernel: make live") || e.querySelector(".cell_output"))
  .map(e => e.outerHTML.slice(0, 100))"""
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
    plotly_wanted: int = 0
    plotly_loaded: int = 0
    silent: list[str] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)


def look(visit: Visit, base: str) -> Seen:
    page = visit.page
    seen = Seen([], visit.errors, visit.failures, visit.weight(without="plotly"))
    read_to_the_end(page)
    seen.overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    seen.sticking_out = page.evaluate(STICKING_OUT)
    seen.broken = page.evaluate(BROKEN_IMAGES) + page.evaluate(UNSET_FORMULAS)
    page.wait_for_function(STILL, timeout=WAIT)
    seen.axe = violations(page)
    seen.plotly_wanted = int(page.locator(".glm-figure[data-figure=plotly]:visible").count() > 0)
    seen.plotly_loaded = sum("plotly" in request.url for request in visit.requests)
    seen.silent = page.evaluate(SILENT)
    if "/chapters/" in page.url and not page.locator(".tag_live-kernel").count():
        seen.silent.append("every chapter has a control for a live kernel")
    page.emulate_media(reduced_motion="reduce")
    seen.moving = page.evaluate(MOVING)
    seen.unreached = beyond_the_keyboard(page)
    seen.left = visit.left_the_site(base)
    return seen


def beyond_the_keyboard(page: Page) -> list[str]:
    """The controls of figures that pressing Tab from the heading on does not reach."""
    unreached = set(page.evaluate(NUMBER_CONTROLS, CONTROLS))
    assert unreached or not page.locator(".glm-figure[data-figure]:visible").count(), "figures without a control"
    if unreached:
        page.locator("article h1").click()
    presses = 0
    while unreached and (presses := presses + 1) <= 600:
        page.keyboard.press("Tab")
        unreached.discard(page.evaluate("document.activeElement.dataset.number"))
    return [page.locator(f"[data-number='{n}']").evaluate("e => e.outerHTML.slice(0, 120)") for n in unreached]


@pytest.fixture(scope="module", params=views(), ids=lambda view: "-".join(map(str, view)))
def seen(request: pytest.FixtureRequest, base: str, browser: Browser) -> Seen:
    name, width, scheme = request.param
    on_disk = (width, scheme) == (PHONE, "dark")
    place, motion = (SITE.as_uri() + "/", "reduce") if on_disk else (base, "no-preference")
    with visiting(browser, place + name, width, scheme, reduced_motion=motion) as visit:
        visit.page.wait_for_function(
            "theme => document.documentElement.dataset.theme === theme", arg=scheme, timeout=WAIT
        )
        return look(visit, place)


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


def test_plotly_loads_once_and_only_where_a_figure_needs_it(seen: Seen) -> None:
    assert seen.plotly_loaded == seen.plotly_wanted


def test_a_cell_for_a_live_kernel_says_so(seen: Seen) -> None:
    assert seen.silent == []


def test_nothing_moves_for_a_reader_who_asked_for_stillness(seen: Seen) -> None:
    assert seen.moving == []


def test_the_keyboard_reaches_every_control_of_every_figure(seen: Seen) -> None:
    assert seen.unreached == []


def test_first_view_is_light(seen: Seen) -> None:
    heaviest = sorted(seen.weight.items(), key=lambda item: -item[1])[:5]
    assert sum(seen.weight.values()) <= FIRST_VIEW, heaviest
