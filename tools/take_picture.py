"""Take the README's pictures of the site: its landing page, half in light and half in dark, and three chapters.

python tools/take_picture.py          writes docs/*.jpg
"""

import base64
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "_build" / "html" / "book"
PICTURES = ROOT / "docs"
WIDTH, HEIGHT = 1180, 1060
CHAPTERS = {  # a page, which figure of which kind is in the middle, and the colour scheme
    "chapter-1.jpg": ("01_tokens", "token_strip", 1, "light"),
    "chapter-6.jpg": ("06_rotary", "rotary_clocks", 0, "dark"),
    "chapter-7.jpg": ("07_two_clocks", "clock_plane", 0, "light"),
}
CHAPTER = {"width": 760, "height": 860}
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
# The two halves are cut along a slope, so that one picture shows both.
SIDE_BY_SIDE = """<body style="margin:0;width:{w}px;height:{h}px;position:relative;overflow:hidden">
<img src="data:image/png;base64,{light}" style="position:absolute">
<img src="data:image/png;base64,{dark}" style="position:absolute;clip-path:polygon(64% 0,100% 0,100% 100%,46% 100%)">
</body>"""


def save(page: Page, name: str) -> None:
    """What the page shows, as a JPEG in ``docs``."""
    file = PICTURES / name
    page.screenshot(path=file, type="jpeg", quality=84)
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} KB")


def landing(page: Page, scheme: str) -> str:
    """The landing page in one colour scheme, as base64 of a PNG."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto((BOOK / "index.html").as_uri())
    page.wait_for_selector(".glm-figure[data-ready='1']")
    return base64.b64encode(page.screenshot()).decode()


def chapter(page: Page, name: str, kind: str, number: int, scheme: str) -> None:
    """A chapter, scrolled until that figure stands in the middle."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto((BOOK / "chapters" / f"{name}.html").as_uri())
    figure = page.locator(f".glm-figure[data-figure={kind}]").nth(number)
    figure.evaluate("figure => figure.scrollIntoView({block: 'center'})")
    page.wait_for_function("figure => figure.dataset.ready === '1'", arg=figure.element_handle())
    figure.evaluate("figure => figure.scrollIntoView({block: 'center'})")  # its controls made it taller


def main() -> int:
    if not BOOK.exists():
        print("There is no built site. Type: make book", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        light, dark = landing(page, "light"), landing(page, "dark")
        page.set_content(SIDE_BY_SIDE.format(w=WIDTH, h=HEIGHT, light=light, dark=dark), wait_until="load")
        save(page, "inside-glm.jpg")
        page.set_viewport_size(CHAPTER)
        for picture, shown in CHAPTERS.items():
            chapter(page, *shown)
            save(page, picture)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
