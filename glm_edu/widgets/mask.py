"""Move the end of the context and change the rule: the mask and the two clocks follow."""

from collections.abc import Sequence

from ipywidgets import Dropdown, IntSlider

from glm_edu.errors import InputError
from glm_edu.figures import Figure, mask_painter, rule_mask, rule_positions
from glm_edu.figures.palette import WORDS
from glm_edu.figures.panels import check_choice
from glm_edu.figures.rules import RULES, slide
from glm_edu.widgets.explorer import Explorer


def explore_mask(tokens: Sequence[str], context: int, *, rule: str = "prefix", caption: str = "") -> Explorer:
    """The mask painter with a kernel behind it. ``context`` is the index of sop; its mask token stands before it.

    Raises:
        InputError: a context that leaves no place for the mask token or for sop, or a rule that is not in ``RULES``.
    """
    check_choice("the list of rules", RULES, rule, least=1)
    if not 0 < context < len(tokens):
        raise InputError(
            f"context is {context}; sop needs an index from 1 to {len(tokens) - 1}, its mask token before it."
        )
    words, start = WORDS["mask_painter"], context

    def draw(context: int, rule: str) -> Figure:
        moved = slide(tokens, start, context)
        mask, positions = rule_mask(rule, context, len(tokens)), rule_positions(context, len(tokens))
        return mask_painter(mask, moved, positions, context=context, rules=[rule], caption=caption)

    return Explorer(
        draw,
        context=IntSlider(value=context, min=1, max=len(tokens) - 1, description=words["context"]),
        rule=Dropdown(options=[(words[name], name) for name in RULES], value=rule, description=words["rule"]),
    )
