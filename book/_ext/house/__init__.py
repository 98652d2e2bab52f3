"""The house style of Inside GLM as a thin layer over the book theme.

Notebooks stay portable Markdown; this extension gives the site what Markdown has no word for. One idea a module:

* ``boxes``    a block quote that opens with a bold "People ask", "Predict", "Exercise" or "Recap" becomes a box
* ``strip``    the table of the three families becomes three coloured columns
* ``buttons``  a paragraph that holds nothing but links between pages becomes a row of buttons
* ``cells``    a cell tagged ``live-kernel`` says so where its output would stand
* ``docstrings``  what the API page needs before it reads a docstring
* ``pages``    what a page loads: figure scripts only where a figure is, the kicker, no script that names another host
* ``assets``   scripts that travel with packages, copied so that nothing is fetched from elsewhere
"""

from sphinx.application import Sphinx

from . import assets, boxes, buttons, cells, docstrings, pages, strip


def setup(app: Sphinx) -> dict[str, object]:
    for part in (assets, boxes, buttons, cells, docstrings, pages, strip):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
