"""The house style's extension: what it makes of plain Markdown, on a small book of its own."""

import sys
from pathlib import Path

import nbformat
import pytest
from sphinx.application import Sphinx
from visits import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from house.docstrings import escape_bars
from house.pages import kicker, without_script

TEXT = """# A title

> **People ask** (ChatGLM-6B #1147, in our words): is this `pre-norm`?

> **Predict.** Which grows?
>
> <details><summary>Answer</summary>
>
> The **first**.
>
> </details>

> **Exercise 2.** Debug it.

> **Recap.** Three sentences.

> **Names.** A note in the margin.

> **Important**: not a box.

> A quotation. **Predict** does not open it.

**[Start](other.md)** · [Other](other.md)

See [Other](other.md) for more.

| ChatGLM-6B | ChatGLM2-6B, ChatGLM3-6B | LLaMA |
|---|---|---|
| `k < c` | one | two |
| three | **four** | |

| ChatGLM-6B | LLaMA |
|---|---|
| an ordinary | table |
"""
CONFIG = """
import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_nb", "sphinx.ext.mathjax", "house"]
myst_enable_extensions = ["dollarmath"]
html_theme = "basic"
nb_execution_mode = "off"
root_doc = "index"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of three pages, built with the extension."""
    source = tmp_path_factory.mktemp("book")
    (source / "conf.py").write_text(CONFIG.format(ext=str(ROOT / "book" / "_ext")), encoding="utf-8")
    (source / "index.md").write_text(TEXT + "\n```{toctree}\nother\nlive\n```\n", encoding="utf-8")
    (source / "other.md").write_text("# Other\n\nA formula: $x^2$\n", encoding="utf-8")
    write_notebook(source / "live.ipynb")
    out = source / "html"
    Sphinx(source, source, out, source / "doctrees", "html", status=None, warning=None).build()
    return out


def write_notebook(path: Path) -> None:
    html = '<figure class="glm-figure" data-figure="x">a figure</figure>'
    figure = nbformat.v4.new_output("display_data", {"text/html": html})
    stale = nbformat.v4.new_output("stream", name="stdout", text="a stale slider")
    cells = [
        nbformat.v4.new_markdown_cell("# Live"),
        nbformat.v4.new_code_cell("figure()", outputs=[figure]),
        nbformat.v4.new_code_cell("slider()", outputs=[stale], metadata={"tags": ["live-kernel"]}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def index(built: Path) -> str:
    return (built / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["ask", "predict", "exercise", "recap", "aside"])
def test_a_quote_that_opens_with_the_word_is_a_box(index: str, kind: str) -> None:
    assert index.count(f'class="box {kind} docutils container"') == 1


def test_other_quotes_stay_quotes(index: str) -> None:
    assert index.count("<blockquote>") == 2


def test_an_answer_stays_closed_inside_its_box(index: str) -> None:
    box = index.split('class="box predict')[1].split('class="box exercise')[0]
    assert "<details><summary>Answer</summary>" in box and "<strong>first</strong>" in box and "</details>" in box


def test_only_a_paragraph_of_nothing_but_links_is_a_row_of_buttons(index: str) -> None:
    assert index.count('<p class="buttons">') == 1
    row = index.split('<p class="buttons">')[1].split("</p>")[0]
    assert row.count('href="other.html"') == 2 and row.count("<strong>") == 1 and "·" not in row


def test_the_family_table_becomes_three_columns(index: str) -> None:
    strip = index.split('class="strip ')[1].split("<table")[0]
    assert [strip.index(f'class="strip-column {family} ') for family in ("v1", "v2", "llama")]
    first, second, third = strip.split("strip-column ")[1:]
    assert "ChatGLM-6B" in first and "k" in first and "three" in first
    assert "one" in second and "<strong>four</strong>" in second
    assert "LLaMA" in third and "two" in third
    assert index.count("<table") == 1


def test_a_live_cell_says_what_it_needs_and_shows_no_stored_output(built: Path) -> None:
    live = (built / "live.html").read_text(encoding="utf-8")
    assert live.count('class="live-kernel-note"') == 1
    assert "a stale slider" not in live


def test_figure_scripts_are_loaded_only_where_a_figure_is(built: Path) -> None:
    loads = {page: "live.js" in (built / page).read_text(encoding="utf-8") for page in ("index.html", "live.html")}
    assert loads == {"index.html": False, "live.html": True}
    for name in ("live.js", "live.css", "plotly.min.js"):
        assert (built / "_static" / name).stat().st_size > 0


def test_mathjax_is_loaded_only_where_a_formula_is(built: Path) -> None:
    loads = {page: "mathjax/startup.js" in (built / f"{page}.html").read_text("utf-8") for page in ("index", "other")}
    assert loads == {"index": False, "other": True}


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("book/chapters/09_masks", "Chapter 9"),
        ("book/chapters/00_start_here", "Chapter 0"),
        ("book/appendix/api", "Appendix"),
        ("book/index", "ChatGLM-6B · ChatGLM2-6B · ChatGLM3-6B · LLaMA"),
        ("search", ""),
    ],
)
def test_the_kicker_says_where_you_are(page: str, words: str) -> None:
    assert kicker(page) == words


def test_without_script_takes_out_that_script_alone() -> None:
    html = '<script defer src="a/fontawesome.js?digest=1"></script><script src="b.js"></script>'
    assert without_script(html, "fontawesome.js") == '<script src="b.js"></script>'


def test_bars_in_docstrings_stay_bars() -> None:
    assert escape_bars("|x| and ``|y|``") == r"\|x\| and ``|y|``"
