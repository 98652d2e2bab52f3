"""What the site's tests share: where the site is, a server for it, and a visitor who notes what happens."""

import functools
import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, Response

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = 1440, 390
WAIT = 15_000  # milliseconds: far more than a figure takes, so that a slow machine does not fail
COMPRESSED = {".html", ".css", ".js", ".svg", ".json", ".ipynb", ".txt"}


def pages() -> list[str]:
    """Every page that was built, found and not listed. One impossible name if there is no site, so that tests fail."""
    found = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_static" not in path.parts)
    return found or ["no site: type make book"]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Static files, compressed as any host of a static site does."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.suffix not in COMPRESSED or not path.is_file():
            return super().do_GET()
        body = compressed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None


@functools.cache
def compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), compresslevel=6)


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The address of a server for ``root`` on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)


@dataclass
class Visit:
    """One visitor on one page, and what happened meanwhile."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("requestfailed", lambda request: self.failures.append(f"{request.url}: {request.failure}"))
        self.page.on("response", self._keep_bad_response)
        self.page.on("console", self._keep_error)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _keep_bad_response(self, response: Response) -> None:
        if response.status >= 400:
            self.failures.append(f"{response.status} {response.url}")

    def _keep_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def left_the_site(self, base: str) -> list[str]:
        """Requests to anywhere but ``base``; data that a page carries within itself is no request."""
        return [request.url for request in self.requests if not request.url.startswith((base, "data:", "blob:"))]

    def weight(self, without: str) -> dict[str, int]:
        """Bytes over the wire by address, leaving out addresses that hold ``without``."""
        kept = [request for request in self.requests if without not in request.url and request.response()]
        return {request.url: size(request) for request in kept}


def size(request: Request) -> int:
    """Bytes over the wire; of a file on disk, what they would be."""
    path = Path(unquote(urlsplit(request.url).path))
    if not request.url.startswith("file:"):
        return request.sizes()["responseBodySize"]
    return len(compressed(path)) if path.suffix in COMPRESSED else path.stat().st_size


ARRIVED = "() => document.readyState === 'complete' && !document.querySelector('meta[http-equiv=refresh]')"


@contextmanager
def visiting(browser: Browser, address: str, width: int = DESK, scheme: str = "light", **options) -> Iterator[Visit]:
    """A fresh visitor at ``address``: nothing stored from an earlier visit, the page loaded to its ``load`` event."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    visit = Visit(context.new_page())
    visit.watch()
    try:
        visit.page.goto(address, wait_until="load")
        if options.get("java_script_enabled", True):
            visit.page.wait_for_function(ARRIVED, timeout=WAIT)  # the front door leads on to the landing page
        yield visit
    finally:
        context.close()


def read_to_the_end(page: Page) -> None:
    """Scroll to each live figure and wait until it says that it is ready; wait until every formula is set."""
    for figure in page.locator(".glm-figure[data-figure]").all():
        if not figure.is_visible():  # inside a closed answer
            continue
        figure.scroll_into_view_if_needed()
        handle = figure.element_handle()
        page.wait_for_function("figure => figure.dataset.ready === '1'", arg=handle, timeout=WAIT)
    page.wait_for_function(FORMULAS_SET, timeout=WAIT)
    page.evaluate("scrollTo(0, 0)")


FORMULAS_SET = """() => [...document.querySelectorAll(".math")].every(math => math.querySelector("mjx-container"))"""
