"""Take the README's picture of the site: the top of the landing page, half in light and half in dark.

python tools/take_picture.py          writes docs/inside-glm.jpg
"""

import base64
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
LANDING = ROOT / "_build" / "html" / "book" / "index.html"
PICTURE = ROOT / "docs" / "inside-glm.jpg"
WIDTH, HEIGHT = 1180, 980
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
# The two halves are cut along a slope, so that one picture shows both.
SIDE_BY_SIDE = """<body style="margin:0;width:{w}px;height:{h}px;position:relative;overflow:hidden">
<img src="data:image/png;base64,{light}" style="position:absolute">
<img src="data:image/png;base64,{dark}" style="position:absolute;clip-path:polygon(64% 0,100% 0,100% 100%,46% 100%)">
</body>"""


def landing(page: Page, scheme: str) -> str:
    """The landing page in one colour scheme, as base64 of a PNG."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(LANDING.as_uri())
    page.wait_for_selector(".glm-figure[data-ready='1']")
    return base64.b64encode(page.screenshot()).decode()


def main() -> int:
    if not LANDING.exists():
        print("There is no built site. Type: make book", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        light, dark = landing(page, "light"), landing(page, "dark")
        page.set_content(SIDE_BY_SIDE.format(w=WIDTH, h=HEIGHT, light=light, dark=dark), wait_until="load")
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE, type="jpeg", quality=84)
        browser.close()
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
