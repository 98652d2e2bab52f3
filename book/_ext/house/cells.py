"""Cells that need a live kernel (tag ``live-kernel``): a note stands where their output would be."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

CLASS = "tag_live-kernel"


def note() -> nodes.paragraph:
    """One line that says what the control needs."""
    text = nodes.Text("This control needs a live kernel: ")
    return nodes.paragraph("", "", text, nodes.literal("", "make live"), nodes.Text("."), classes=["live-kernel-note"])


class LiveKernelNotes(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        for cell in self.document.findall(nodes.container):
            if CLASS in cell["classes"]:
                for output in [node for node in cell.children if "cell_output" in node.get("classes", ())]:
                    cell.remove(output)
                cell += note()


def setup(app: Sphinx) -> None:
    app.add_transform(LiveKernelNotes)
