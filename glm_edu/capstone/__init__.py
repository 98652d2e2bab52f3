"""The capstone: a checkpoint of any size, planned, loaded, chatted with, looked into, measured. One idea a file:

stand_in, tour, measure.
"""

from glm_edu.capstone.measure import BEGINNINGS, QUESTIONS, measure, store, stored, stored_lens
from glm_edu.capstone.stand_in import STAND_INS, make_stand_in
from glm_edu.capstone.tour import Head, answered, find_heads, generation, read_answer, shape_of, token_names

__all__ = [
    "BEGINNINGS",
    "QUESTIONS",
    "STAND_INS",
    "Head",
    "answered",
    "find_heads",
    "generation",
    "make_stand_in",
    "measure",
    "read_answer",
    "shape_of",
    "store",
    "stored",
    "stored_lens",
    "token_names",
]
