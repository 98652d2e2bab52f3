"""The pictures of the book: one function each, tensors in, a Figure out. The site's ``live.js`` adds the controls."""

from glm_edu.figures.attention import attention_map
from glm_edu.figures.beside import side_by_side
from glm_edu.figures.blanks import blank_painter
from glm_edu.figures.cache import CacheGrid, cache_rounds
from glm_edu.figures.clocks import Clocked, clock_plane
from glm_edu.figures.drawings import choices, drawing
from glm_edu.figures.effects import effect_map
from glm_edu.figures.figure import ASSETS, Figure
from glm_edu.figures.film import attention_film
from glm_edu.figures.groups import group_meter
from glm_edu.figures.lens import lens_table, reading_table
from glm_edu.figures.mask import mask_painter
from glm_edu.figures.multiples import small_multiples
from glm_edu.figures.norms import residual_norms, stream_norms
from glm_edu.figures.overflow import largest_map
from glm_edu.figures.palette import house_style
from glm_edu.figures.positions import position_table
from glm_edu.figures.rotary import pairs_of, rotary_clocks
from glm_edu.figures.rules import RULES, rule_mask, rule_positions
from glm_edu.figures.shapes import shape_flow
from glm_edu.figures.split import split_map
from glm_edu.figures.stages import attention_stages, score_stages
from glm_edu.figures.switchboard import TrainedMap, switchboard
from glm_edu.figures.tokens import token_strip
from glm_edu.figures.tree import module_trees

__all__ = [
    "ASSETS",
    "RULES",
    "CacheGrid",
    "Clocked",
    "Figure",
    "TrainedMap",
    "attention_film",
    "attention_map",
    "attention_stages",
    "blank_painter",
    "cache_rounds",
    "choices",
    "clock_plane",
    "drawing",
    "effect_map",
    "group_meter",
    "house_style",
    "largest_map",
    "lens_table",
    "mask_painter",
    "module_trees",
    "pairs_of",
    "position_table",
    "reading_table",
    "residual_norms",
    "rotary_clocks",
    "rule_mask",
    "rule_positions",
    "score_stages",
    "shape_flow",
    "side_by_side",
    "small_multiples",
    "split_map",
    "stream_norms",
    "switchboard",
    "token_strip",
]
