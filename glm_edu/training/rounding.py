"""Numbers of measurements: rounded to be stored, and as text beside their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def rounded(data: Any, digits: int = 4) -> Any:
    """The same dicts and lists with every float rounded to ``digits`` decimals; tuples become lists, as in JSON."""
    if isinstance(data, dict):
        return {key: rounded(value, digits) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [rounded(value, digits) for value in data]
    return round(data, digits) if isinstance(data, float) else data


def bracketed(value: str, low: str, high: str) -> str:
    """A figure and its interval, which stays on one line."""
    return f"{value} ({low}\xa0to\xa0{high})"


def signed(interval: Sequence[float], digits: str) -> str:
    """A difference and its interval, with signs."""
    return bracketed(*(f"{number:+{digits}}".replace("-", "−") for number in interval))
