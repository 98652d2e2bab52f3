"""Proof: the official outputs, the ladder that compares every tensor, and the mistakes that must be caught."""

from glm_edu.parity.case import Case, Run, case_names
from glm_edu.parity.components import prove_components
from glm_edu.parity.ladder import Ladder, Rung, climb, compare
from glm_edu.parity.mistakes import MISTAKES, Mistake, mistake
from glm_edu.parity.proof import prove

__all__ = [
    "MISTAKES",
    "Case",
    "Ladder",
    "Mistake",
    "Run",
    "Rung",
    "case_names",
    "climb",
    "compare",
    "mistake",
    "prove",
    "prove_components",
]
