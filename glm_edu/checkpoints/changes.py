"""What would fit: the smallest changes of a setting whose needs are no more than what is free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from glm_edu.checkpoints.arguments import DtypeName
from glm_edu.checkpoints.files import say_bytes
from glm_edu.checkpoints.needs import Setting, needs
from glm_edu.quantization.model import BITS

_LOOKS = 6  # a peak is almost a line, so the next guess is almost the answer


@dataclass(frozen=True)
class Change:
    """Arguments to give instead, and the bytes that they need at most at one time."""

    arguments: dict[str, int | str]
    peak: int

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{said} ({say_bytes(self.peak)})"


def smallest_changes(setting: Setting, free: int) -> tuple[Change, ...]:
    """Each single change that is enough, from the mildest on; where none is, one of several at once; or nothing."""
    fitting = [change for change in _single(setting, free) if change is not None and change.peak <= free]
    if fitting or not setting.context:
        return tuple(fitting)
    return next(_several(setting, free), ())


def _several(setting: Setting, free: int) -> Iterator[tuple[Change]]:
    """int4 with fewer prompts at once, else with one prompt that is shorter."""
    if setting.config.quantization_bits:
        return
    least = _changed(setting, quantization_bits=4)
    if setting.batch > 1 and (fewer := _largest("batch", least, setting.batch - 1, free)):
        yield (Change({"quantize": "int4", **fewer.arguments}, fewer.peak),)
    one: dict[str, int | str] = {"quantize": "int4", **({"batch": 1} if setting.batch > 1 else {})}
    if shorter := _largest("context", replace(least, batch=1), setting.context, free):
        yield (Change(one | shorter.arguments, shorter.peak),)


def _single(setting: Setting, free: int) -> Iterator[Change | None]:
    if setting.context > 1:
        yield _largest("context", setting, setting.context - 1, free)
    if setting.batch > 1:
        yield _largest("batch", setting, setting.batch - 1, free)
    if setting.config.quantization_bits:
        return  # the float weights may not be here
    half: DtypeName = "bfloat16" if setting.device.type == "cpu" else "float16"
    if setting.config.dtype == "float32":
        yield Change({"dtype": half}, needs(_changed(setting, dtype=half)).peak)
    for name, bits in BITS.items():
        yield Change({"quantize": name}, needs(_changed(setting, quantization_bits=bits)).peak)


def _changed(setting: Setting, **fields: Any) -> Setting:
    return replace(setting, config=replace(setting.config, **fields))


def _largest(name: Literal["context", "batch"], setting: Setting, most: int, free: int) -> Change | None:
    """The largest context (or batch) up to ``most`` that fits, by a line through both ends; None: not even one."""

    def peak(value: int) -> int:
        return needs(replace(setting, context=value) if name == "context" else replace(setting, batch=value)).peak

    ends = {1: peak(1), most + 1: peak(most + 1)}
    low, high = 1, most + 1  # low fits; high does not, or is one too many
    if ends[low] > free:
        return None
    for _ in range(_LOOKS):
        if high - low > 1:
            slope = max(1.0, (ends[high] - ends[low]) / (high - low))  # bytes for one more
            guess = min(high - 1, low + max(1, int((free - ends[low]) / slope)))
            ends[guess] = peak(guess)
            low, high = (guess, high) if ends[guess] <= free else (low, guess)
    return Change({name: low}, ends[low])


def what_fits(changes: tuple[Change, ...]) -> str:
    """The changes in words."""
    if not changes:
        return "Nothing smaller would fit here: close other programs, or take a smaller model."
    return f"What would fit: {'; or '.join(map(str, changes))}."
