"""What ``encode`` and ``decode`` may be given, the same for every tokenizer."""

from __future__ import annotations

from collections.abc import Iterable

from glm_edu.errors import InputError


def check_text(text: str) -> None:
    """Raise InputError unless ``text`` is one that has a UTF-8 form (half a surrogate pair has none)."""
    if not isinstance(text, str):
        raise InputError(f"encode needs a text, not a {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise InputError(f"The text holds {half!r}, half of a surrogate pair, at {error.start}.") from error


def checked(ids: Iterable[int], limit: int) -> list[int]:
    """Whole-number ids below ``limit``.

    Raises:
        InputError: an id outside.
    """
    ids = [int(i) for i in ids]
    if bad := [i for i in ids if not 0 <= i < limit]:
        raise InputError(f"There is no token {bad[0]}; ids run from 0 to {limit - 1}.")
    return ids
