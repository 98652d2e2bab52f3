"""Scripts that travel with packages, copied beside the pages: what a page needs is never fetched from elsewhere."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

# package -> (file or directory inside it, where below _static). live.js loads plotly.min.js from beside itself when a
# figure asks. Of MathJax's 24 MB a page needs its parts for TeX, their fonts, and what reads formulas aloud.
ASSETS = {
    "plotly": [("package_data/plotly.min.js", ".")],
    "glm_edu": [("figures/live.js", "."), ("figures/live.css", ".")],
    "sphinx-mathjax-offline": [
        (f"static/mathjax/{part}", f"mathjax/{Path(part).parent}")
        for part in (
            "startup.js",
            "core.js",
            "input/tex.js",
            "input/tex/extensions",
            "output/chtml.js",
            "output/chtml/fonts",
            "a11y/assistive-mml.js",
        )
    ],
}
MATHJAX = {"load": ["core", "input/tex", "output/chtml", "a11y/assistive-mml"]}


def copy_assets(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    for package, parts in ASSETS.items():
        for name, below in parts:
            with as_file(files(package).joinpath(name)) as source:
                copy(source, Path(app.outdir, "_static", below))


def copy(source: Path, target: Path) -> None:
    """A file or a whole directory into ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target / source.name, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def use_own_mathjax(app: Sphinx, config: Config) -> None:
    config.mathjax_path = "mathjax/startup.js"
    config.mathjax3_config = {**(config.mathjax3_config or {}), "loader": MATHJAX}


def setup(app: Sphinx) -> None:
    app.connect("config-inited", use_own_mathjax)
    app.connect("builder-inited", copy_assets)
