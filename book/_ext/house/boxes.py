"""Ask, predict, exercise and recap boxes, and notes in the margin: quotes that open with a bold word of this table."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

KINDS = {
    "people ask": "ask",
    "predict": "predict",
    "exercise": "exercise",
    "recap": "recap",
    "names": "aside",
    "numbers": "aside",
    "history": "aside",
}


def lead_of(quote: nodes.block_quote) -> nodes.strong | None:
    """The bold words that open a block quote, or None."""
    if not quote.children or not isinstance(quote[0], nodes.paragraph):
        return None
    first = next((node for node in quote[0].children if node.astext()), None)
    return first if isinstance(first, nodes.strong) else None


def kind_of(lead: nodes.strong) -> str | None:
    """The box that these words ask for, or None for an ordinary quotation."""
    return next((kind for words, kind in KINDS.items() if lead.astext().lower().startswith(words)), None)


class Boxes(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        for quote in list(self.document.findall(nodes.block_quote)):
            lead = lead_of(quote)
            if lead and (kind := kind_of(lead)):
                lead["classes"].append("box-label")
                quote.replace_self(nodes.container("", *quote.children, classes=["box", kind]))


def setup(app: Sphinx) -> None:
    app.add_transform(Boxes)
