"""The capstone: a checkpoint of any size, planned, loaded, chatted with, looked into, measured. One idea a file:

stand_in, tour, measure.
"""

from glm_edu.capstone.stand_in import STAND_INS, make_stand_in
from glm_edu.capstone.tour import Head, find_heads, read_answer, token_names

__all__ = ["STAND_INS", "Head", "find_heads", "make_stand_in", "read_answer", "token_names"]
