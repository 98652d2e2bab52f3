"""Proof: the official outputs, the ladder that compares every tensor, and the mistakes that must be caught."""

from glm_edu.parity.case import Case, Run, case_names
from glm_edu.parity.ladder import Ladder, Rung, climb, compare, prove
from glm_edu.parity.mistakes import MISTAKES, Mistake, mistake

__all__ = ["MISTAKES", "Case", "Ladder", "Mistake", "Run", "Rung", "case_names", "climb", "compare", "mistake", "prove"]
