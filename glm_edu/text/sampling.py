"""How each generation chooses its next token when nobody says otherwise: the official defaults, as data.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87), chat. The
top-k of 50 stands in none of them: it is a default of transformers that applies all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glm_edu.errors import CheckpointError


@dataclass(frozen=True)
class Sampling:
    """Defaults of a chat. ``max_length`` bounds prompt and answer together; None: as much as the model has room for."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_length: int | None = None


GREEDY = Sampling()
CHATGLM = Sampling(temperature=0.95, top_p=0.7, top_k=50, max_length=2048)
CHATGLM2 = Sampling(temperature=0.8, top_p=0.8, top_k=50, max_length=8192)  # ChatGLM3-6B: the same


def from_generation_config(official: Mapping[str, Any]) -> Sampling:
    """The sampling of a ``generation_config.json``, with the defaults of transformers for what it leaves out.

    Raises:
        CheckpointError: a value that is no number.
    """
    kinds = {"temperature": (int, float), "top_p": (int, float), "top_k": (int,), "max_length": (int,)}
    numbers = {key: official.get(key) for key in kinds}
    for key, value in numbers.items():
        if value is not None and type(value) not in kinds[key]:
            raise CheckpointError(f"generation_config.json: {key}={value!r} should be a number.")
    if not official.get("do_sample"):
        return GREEDY
    defaults = {"temperature": 1.0, "top_p": 1.0, "top_k": 50}
    return Sampling(**defaults | {key: value for key, value in numbers.items() if value is not None})
