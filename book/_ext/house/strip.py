"""The family strip: a Markdown table with exactly this header becomes three coloured columns (stacked on a phone)."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

FAMILIES = {"ChatGLM-6B": "v1", "ChatGLM2-6B, ChatGLM3-6B": "v2", "LLaMA": "llama"}


def columns_of(table: nodes.table) -> list[nodes.container]:
    """One container a family: its name, then the cell of every row as a paragraph."""
    rows = [list(row.findall(nodes.entry)) for row in table.findall(nodes.row)]
    columns = []
    for column, (name, family) in enumerate(FAMILIES.items()):
        title = nodes.paragraph("", name, classes=["strip-title"])
        body = [child for row in rows[1:] for child in row[column].children]
        columns.append(nodes.container("", title, *body, classes=["strip-column", family]))
    return columns


class Strip(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        for table in list(self.document.findall(nodes.table)):
            header = [entry.astext() for entry in next(table.findall(nodes.row)).findall(nodes.entry)]
            if header == list(FAMILIES):
                table.replace_self(nodes.container("", *columns_of(table), classes=["strip"]))


def setup(app: Sphinx) -> None:
    app.add_transform(Strip)
