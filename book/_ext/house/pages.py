"""What a page loads and shows around its text."""

import re
from pathlib import Path

from sphinx.application import Sphinx

FIGURE = 'class="glm-figure" data-figure='  # a figure that live.js brings alive; one without data-figure is a picture
FORMULA = 'class="math '
FIND = 'class="find-rows"'  # where find.js puts a search box for the rows of a page's tables
SITE_NAME = "ChatGLM-6B · ChatGLM2-6B · ChatGLM3-6B · LLaMA"
# Jupyter Book registers these for features that no page of this book uses; thebe's also names another host
UNUSED = (
    "sphinx-thebe",
    "thebe_selector",
    "THEBE_JS_URL",
    "design-tabs.js",
    "sphinx-design",
    "togglebutton",
    "toggleHint",
    "toggleOpenOnPrint",
)


def kicker(pagename: str) -> str:
    """The small line above a page's title: where in the book you are."""
    if pagename == "book/index":
        return SITE_NAME
    if found := re.match(r"book/chapters/(\d+)_", pagename):
        return f"Chapter {int(found[1])}"
    return "Appendix" if pagename.startswith("book/appendix/") else ""


def names(asset: object, words: tuple[str, ...]) -> bool:
    """Whether a script or a style sheet says one of ``words`` in its file name or its text."""
    body = getattr(asset, "attributes", {}).get("body") or ""
    return any(word in f"{getattr(asset, 'filename', asset)} {body}" for word in words)


def trim_assets(context: dict, unused: tuple[str, ...]) -> None:
    for key in ("script_files", "css_files"):
        context[key][:] = [asset for asset in context.get(key, []) if not names(asset, unused)]


def dress_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    body = context.get("body", "")
    # Sphinx would load MathJax on the landing page too, because chapters below it have formulas
    trim_assets(context, UNUSED if FORMULA in body else (*UNUSED, "mathjax", "MathJax"))
    if words := kicker(pagename):
        context["body"] = body.replace("<h1>", f'<p class="kicker">{words}</p>\n<h1>', 1)
    if FIGURE in body:
        app.add_css_file("live.css")
        app.add_js_file("live.js", loading_method="defer")
    if FIND in body:
        app.add_js_file("find.js", loading_method="defer")


def without_script(html: str, name: str) -> str:
    """``html`` without the script elements whose source ends in ``name`` (a template filter)."""
    return re.sub(rf'<script[^>]*src="[^"]*{re.escape(name)}[^"]*"[^>]*></script>', "", str(html))


FRONT_DOOR = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Inside GLM</title><link rel="icon" href="data:,"><meta http-equiv="refresh" content="0; url={page}"></head>
<body><main><h1><a href="{page}">Inside GLM</a></h1></main></body></html>
"""


def write_front_door(app: Sphinx, exception: Exception | None) -> None:
    """The site's index.html, which leads to the landing page at once (the toc extension's has no language or title)."""
    if not exception and app.builder.format == "html" and app.config.root_doc != "index":
        page = FRONT_DOOR.format(page=f"{app.config.root_doc}.html")
        Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def add_templates(app: Sphinx) -> None:
    app.config.templates_path.append(str(Path(__file__).with_name("templates")))  # type: ignore[attr-defined]


def add_filters(app: Sphinx) -> None:
    if app.builder.format == "html":
        app.builder.templates.environment.filters["without_script"] = without_script  # type: ignore[attr-defined]


def setup(app: Sphinx) -> None:
    app.connect("config-inited", lambda app, config: add_templates(app))
    app.connect("builder-inited", add_filters)
    app.connect("build-finished", write_front_door, priority=900)
    app.connect("html-page-context", dress_page, priority=900)
    app.add_js_file("site.js", priority=100)
