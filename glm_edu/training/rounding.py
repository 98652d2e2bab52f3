"""Numbers of measurements, short enough to be stored."""

from __future__ import annotations

from typing import Any


def rounded(data: Any, digits: int = 4) -> Any:
    """The same dicts and lists with every float rounded to ``digits`` decimals; tuples become lists, as in JSON."""
    if isinstance(data, dict):
        return {key: rounded(value, digits) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [rounded(value, digits) for value in data]
    return round(data, digits) if isinstance(data, float) else data
