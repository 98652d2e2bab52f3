"""The book's side of JupyterLab (tools/lab): figures come alive, code that the site folds is folded, keys stay put.

The page plays JupyterLab: it hands the extension its modules and a notebook, and puts outputs on the page later.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from live_page import THREAD, in_browser_thread, visiting
from playwright.sync_api import Browser, Page

from glm_edu.figures import ASSETS, mask_painter

LAB = Path(__file__).parents[2] / "tools/lab"
PLAY = """async () => {
  const cell = (type, tags) => ({ model: { type, getMetadata: () => tags }, inputHidden: false });
  const cells = [
    cell("code", ["hide-input"]), cell("code", ["live-kernel"]), cell("code", ["remove-input"]),
    cell("markdown", ["hide-input"]), cell("code"),
  ];
  const extension = window._JUPYTERLAB["inside-glm"];
  const modules = { "4.6.6": { get: async () => () => ({ INotebookTracker: "notebooks" }) } };
  extension.init({ "@jupyterlab/notebook": modules });
  const plugin = (await extension.get("./notebooks"))().default;
  const opened = { revealed: Promise.resolve(), content: { widgets: cells } };
  await plugin.activate({}, { widgetAdded: { connect: (open) => open(null, opened) } });
  return [plugin.requires, cells.map((one) => one.inputHidden)];
}"""
OUTPUT = """([html, name]) => {
  const output = Object.assign(document.createElement("div"), { innerHTML: html, className: name });
  document.body.append(output);
}"""


@pytest.fixture(scope="module")
def played(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, list]]:
    """The page, and what the extension asked for and did to the notebook."""
    folder = tmp_path_factory.mktemp("lab")
    for source in (LAB / "notebooks.js", LAB / "notebooks.css", ASSETS / "live.js", ASSETS / "live.css"):
        shutil.copy(source, folder)
    host = folder / "page.html"
    host.write_text('<!doctype html><body data-jp-theme-light="true"><script src="notebooks.js"></script>', "utf-8")
    figure = mask_painter(torch.ones(3, 3).tril().bool(), ["x", "[gMASK]", "sop"])

    def play() -> tuple[Page, list]:
        answer = visit.page.evaluate(PLAY)
        for name in ("output", "jupyter-widgets"):
            visit.page.evaluate(OUTPUT, [figure.html, name])
        return visit.page, answer

    opened = visiting(browser, host.as_uri())
    visit = THREAD.submit(opened.__enter__).result()
    yield THREAD.submit(play).result()
    THREAD.submit(opened.__exit__, None, None, None).result()
    assert visit.errors == []


@in_browser_thread
def test_it_asks_for_the_notebooks_and_folds_what_the_site_folds(played: tuple[Page, list]) -> None:
    assert played[1] == [["notebooks"], [True, False, True, False, False]]


@in_browser_thread
def test_an_output_that_arrives_comes_alive_and_a_widget_keeps_its_own_controls(played: tuple[Page, list]) -> None:
    page, _ = played
    page.wait_for_selector(".output figure[data-ready='1'] input[type=range]")
    assert page.locator(".jupyter-widgets figure").count() == 1
    assert page.locator(".jupyter-widgets input").count() == 0


@in_browser_thread
def test_keys_pressed_in_a_figure_are_not_commands_of_jupyterlab(played: tuple[Page, list]) -> None:
    page, _ = played
    page.focus(".output input[type=range]")
    assert page.evaluate("document.activeElement.hasAttribute('data-lm-suppress-shortcuts')")


@in_browser_thread
def test_it_follows_the_theme(played: tuple[Page, list]) -> None:
    page, _ = played
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "light"
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.wait_for_function(f"{theme} === 'dark'")
