"""prove: one stored case, or all components, loaded and compared. What the tests, the chapters and the ledger call."""

from __future__ import annotations

from glm_edu.model.transformer import Transformer
from glm_edu.parity.case import Case
from glm_edu.parity.components import prove_components
from glm_edu.parity.ladder import Ladder, climb


def prove(name: str, alone: bool = False, eager: bool = True) -> Ladder:
    """The case called ``name``, loaded from its official directory; "components" is every piece that was run alone.

    Args:
        alone: give the model ids and padding only; positions and masks follow by themselves.
        eager: take the attention path with maps; False compares all that the fast path yields.

    Raises:
        CheckpointNotFoundError: there is no such case; the message lists them.
    """
    if name == "components":
        return prove_components()
    case = Case(name)
    return climb(Transformer.from_pretrained(case.directory), case, alone, eager)
