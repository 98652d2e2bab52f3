"""Controls above a figure: what every widget of the book is made of."""

from collections.abc import Callable
from typing import Any

from ipywidgets import HTML, HBox, Layout, VBox, Widget

from glm_edu.figures import Figure


class Explorer(VBox):
    """A figure that is drawn again whenever a control changes.

    ``controls`` are the widgets by name, ``figure`` is the last figure drawn, ``picture`` the widget that shows it.
    ``draw`` is called with the controls' values by name.
    """

    def __init__(self, draw: Callable[..., Figure], **controls: Widget) -> None:
        self.draw, self.controls, self.picture = draw, controls, HTML()
        row = HBox(list(controls.values()), layout=Layout(flex_flow="row wrap"))
        super().__init__([row, self.picture])
        for control in controls.values():
            control.style.description_width = "initial"  # else a long label is cut
            control.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, change: Any = None) -> None:
        self.figure = self.draw(**{name: control.value for name, control in self.controls.items()})
        self.picture.value = self.figure.html
