"""Buttons: a paragraph of nothing but links to pages of this book (a dot may stand between them). A bold one leads."""

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


def is_link(node: nodes.Node) -> bool:
    """A link to another page, bare or bold."""
    if isinstance(node, nodes.strong) and len(node.children) == 1:
        node = node[0]
    return isinstance(node, addnodes.pending_xref | addnodes.download_reference)


def is_row_of_buttons(paragraph: nodes.paragraph) -> bool:
    """Whether nothing but links stands in the paragraph."""
    others = [node for node in paragraph.children if not is_link(node)]
    return len(others) < len(paragraph.children) and all(node.astext().strip() in ("", "·") for node in others)


class Buttons(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        for paragraph in self.document.findall(nodes.paragraph):
            if isinstance(paragraph.parent, nodes.section) and is_row_of_buttons(paragraph):
                paragraph["classes"].append("buttons")
                for dot in [node for node in paragraph.children if not is_link(node)]:
                    paragraph.remove(dot)


def setup(app: Sphinx) -> None:
    app.add_transform(Buttons)
