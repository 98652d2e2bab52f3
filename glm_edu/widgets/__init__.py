"""The pictures of ``glm_edu.figures`` with controls, for a live kernel: each change runs the model again."""

from glm_edu.widgets.attention import explore_attention
from glm_edu.widgets.blanks import explore_blank
from glm_edu.widgets.clocks import explore_clocks
from glm_edu.widgets.explorer import Explorer
from glm_edu.widgets.mask import explore_mask
from glm_edu.widgets.overflow import explore_overflow
from glm_edu.widgets.residual import explore_residual
from glm_edu.widgets.rotary import explore_rotary
from glm_edu.widgets.scores import explore_scores
from glm_edu.widgets.switchboard import explore_switchboard
from glm_edu.widgets.tokens import explore_chat
from glm_edu.widgets.tree import explore_tree
from glm_edu.widgets.units import explore_units

__all__ = [
    "Explorer",
    "explore_attention",
    "explore_blank",
    "explore_chat",
    "explore_clocks",
    "explore_mask",
    "explore_overflow",
    "explore_residual",
    "explore_rotary",
    "explore_scores",
    "explore_switchboard",
    "explore_tree",
    "explore_units",
]
