"""What a chapter shows beside prose and figures: source from the package, the model map, the proof row."""

from glm_edu.page.element import Element
from glm_edu.page.equation import equation
from glm_edu.page.listing import listing
from glm_edu.page.model_map import BOXES, model_map
from glm_edu.page.proof import ProofRow, proof
from glm_edu.page.table import table

__all__ = ["BOXES", "Element", "ProofRow", "equation", "listing", "model_map", "proof", "table"]
