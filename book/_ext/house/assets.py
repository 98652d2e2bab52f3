"""Scripts that travel with packages, copied beside the pages: what a page needs is never fetched from elsewhere."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from sphinx.application import Sphinx

# (package, file inside it): all land in _static, and live.js loads plotly.min.js from beside itself when a figure asks
ASSETS = [
    ("plotly", "package_data/plotly.min.js"),
    ("glm_edu", "figures/live.js"),
    ("glm_edu", "figures/live.css"),
]


def copy_assets(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    for package, name in ASSETS:
        with as_file(files(package) / name) as source:
            shutil.copy(source, static)


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", copy_assets)
