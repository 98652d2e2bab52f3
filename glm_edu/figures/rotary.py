"""Rotary clocks: each pair of a head as a dial with a hand of the query and one of the key, and the score by distance.

A row of dials is a distance between the two tokens. The live control moves both tokens: in every row all hands turn,
and no number moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_finite, check_rank, fill
from glm_edu.figures.markup import esc, significant
from glm_edu.figures.palette import WORDS

HAND, LEAST = 42, 9  # the longest and the shortest hand, in the dial's own units; its radius is 47
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 160, 44, 388, 12, 118  # of the curve
Hands = tuple[list[tuple[float, float]], list[float], float]  # angles of query and key, parts of the score, their sum


def rotary_clocks(
    query: Float[Tensor, "pairs 2"], key: Float[Tensor, "pairs 2"], frequencies: Float[Tensor, " pairs"], *,
    rest: float | None = None, shift: int = 0, distances: Sequence[int] = (1, 4), shifts: int = 100, farthest: int = 24,
    caption: str = "", title: str = "",
) -> Figure:  # fmt: skip
    """One dial a pair, in a row for each distance, and the score against the distance of the two tokens.

    Args:
        query, key: the vectors before they are turned, as pairs (``pairs_of``); scale one of them if the score should
            be divided by sqrt(d).
        frequencies: by how many radians each pair turns with each position.
        rest: what the part of the head that does not turn adds to the score; None: all of it turns.
        shift: where the key stands until the slider is moved.
        distances: how much further on the query stands, in each row.
        shifts, farthest: how far the slider goes, and the curve.

    Raises:
        InputError: shapes that do not fit each other, NaN, a pair that does not turn, a start that the slider does not
            reach, or no row.
    """
    for name, tensor, axes in (("query", query, "pairs 2"), ("key", key, "pairs 2"), ("frequencies", frequencies, "p")):
        check_rank(name, tensor, axes)
        check_finite(name, tensor)
    if not query.shape == key.shape == (len(frequencies), 2):
        raise InputError(f"query {[*query.shape]}, key {[*key.shape]} and {len(frequencies)} frequencies do not fit.")
    if not len(frequencies) or frequencies.min() <= 0 or not math.isfinite(rest or 0):
        raise InputError(f"frequencies are {frequencies.tolist()} and rest is {rest}: at least one pair turns, all of "
                         "them forwards, and what does not turn is a number or None.")  # fmt: skip
    if not (0 <= shift <= shifts and distances and all(0 <= distance <= farthest for distance in distances)):
        raise InputError(
            f"shift {shift} of {shifts}, distances {[*distances]} of {farthest}: start within the slider and the curve."
        )
    data = {
        "query": _polar(query), "key": _polar(key), "rest": None if rest is None else significant(rest, 3),
        "frequencies": [significant(turn) for turn in frequencies.tolist()],
        "shift": shift, "distances": [*distances], "shifts": shifts, "farthest": farthest,
    }  # fmt: skip
    rows = "".join(_row(data, distance, last=distance == distances[-1]) for distance in distances)
    return Figure("rotary_clocks", data, _alt(data), rows + _key() + _curve(data), caption, title)


def pairs_of(x: Num[Tensor, "*b r"], pairing: str) -> Num[Tensor, "*b r/2 2"]:
    """The elements of a head that turn together, side by side: i and i + r/2 ("half"), or 2i and 2i + 1 ("pairs").

    Raises:
        InputError: another pairing, or an odd number of elements.
    """
    if x.shape[-1] % 2:
        raise InputError(f"x is {[*x.shape]}: an odd number of elements makes no pairs.")
    if pairing == "half":
        return torch.stack(x.chunk(2, dim=-1), dim=-1)
    if pairing == "pairs":
        return x.unflatten(-1, (-1, 2))
    raise InputError(f"pairing is {pairing!r}; it is 'half' or 'pairs'.")


def hands(data: dict[str, Any], shift: int, distance: int) -> Hands:
    """The hands with the key at ``shift`` and the query ``distance`` further on. live.js computes the same."""
    angles, parts = [], []
    for (long, asks), (wide, answers), turn in zip(data["query"], data["key"], data["frequencies"], strict=True):
        pair = asks + (shift + distance) * turn, answers + shift * turn
        angles.append(pair)
        parts.append(long * wide * math.cos(pair[0] - pair[1]))
    return angles, parts, sum(parts) + (data["rest"] or 0.0)


def _polar(pairs: Tensor) -> list[list[float]]:
    """Length and angle of each pair, to three digits: they come out of a network."""
    lengths, angles = pairs.norm(dim=-1), torch.atan2(pairs[:, 1], pairs[:, 0])
    return [[significant(n, 3), significant(a, 3)] for n, a in zip(lengths.tolist(), angles.tolist(), strict=True)]


def _row(data: dict[str, Any], distance: int, *, last: bool) -> str:
    """The dials of one distance under its score; the last row says how long a turn takes."""
    angles, parts, score = hands(data, data["shift"], distance)
    periods = [fill("rotary_clocks", "period", n=_tokens(2 * math.pi / turn)) for turn in data["frequencies"]]
    lengths = zip(_lengths(data["query"]), _lengths(data["key"]), strict=True)
    dials = ""
    for both, sizes, part, period in zip(angles, lengths, parts, periods, strict=True):
        drawn = _hand("key", sizes[1], both[1]) + _hand("query", sizes[0], both[0])
        dials += _dial("", drawn, part, period if last else "")
    if data["rest"] is not None:
        dials += _dial(" rest", "", data["rest"], WORDS["rotary_clocks"]["rest"] if last else "")
    values = {"d": distance, "k": data["shift"], "q": data["shift"] + distance, "s": _signed(score)}
    said = esc(fill("rotary_clocks", "read", **values))
    return f'<p class="glm-score-now">{said}</p><div class="glm-dials">{dials}</div>'


def _key() -> str:
    words = WORDS["rotary_clocks"]
    sides = "".join(f"<span><i class={side}></i>{esc(words[side])}</span>" for side in ("query", "key"))
    return f'<p class="glm-hands">{sides}<span>{esc(words["under"])}</span></p>'


def _lengths(pairs: list[list[float]]) -> list[float]:
    """How long the hands are: the longest pair fills its dial."""
    longest = max(length for length, _ in pairs) or 1.0
    return [max(LEAST, HAND * length / longest) for length, _ in pairs]


def _dial(kind: str, drawn: str, part: float, under: str) -> str:
    svg = f'<svg viewBox="-50 -50 100 100" aria-hidden="true"><circle r="47"/>{drawn}</svg>'
    under = f"<small>{esc(under)}</small>" if under else ""
    return f'<div class="glm-dial{kind}">{svg}<b>{_signed(part)}</b>{under}</div>'


def _hand(side: str, length: float, angle: float) -> str:
    """A line from the middle: angles grow counterclockwise, as in mathematics."""
    x, y = length * math.cos(angle), -length * math.sin(angle)
    return f'<path class="{side}" data-length="{length:.3g}" d="M0 0L{x:.1f} {y:.1f}"/>'


def _curve(data: dict[str, Any]) -> str:
    """The score at every distance, with a dot at each one that the dials show."""
    scores = [hands(data, 0, distance)[2] for distance in range(data["farthest"] + 1)]
    low, high = min(0.0, *scores), max(0.0, *scores)
    points = [(_x(data, d), _y(score, low, high)) for d, score in enumerate(scores)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    levels = {_y(low, low, high): _signed(low, 1), _y(high, low, high): _signed(high, 1), _y(0.0, low, high): "0"}
    lines = "".join(f'<path class="rule" d="M{LEFT} {y:.1f}H{RIGHT}"/>' for y in levels)
    words = "".join(_text(LEFT - 6, y + 4, word, "end") for y, word in levels.items())
    step = max(1, math.ceil(data["farthest"] / 6))
    ticks = "".join(_text(_x(data, d), BOTTOM + 17, str(d), "middle") for d in range(0, data["farthest"] + 1, step))
    axis = _text((LEFT + RIGHT) / 2, HEIGHT - 6, WORDS["rotary_clocks"]["axis"], "middle")
    dots = "".join('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="5"/>'.format(*points[d]) for d in data["distances"])
    shown = f'{lines}{words}{ticks}{axis}<path class=curve d="{path}"/>{dots}'
    return f'<svg class="glm-score" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{shown}</svg>'


def _x(data: dict[str, Any], distance: int) -> float:
    return LEFT + (RIGHT - LEFT) * distance / max(data["farthest"], 1)


def _y(score: float, low: float, high: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * (score - low) / ((high - low) or 1.0)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{esc(text)}</text>'


def _signed(value: float, digits: int = 2) -> str:
    """A number with its sign; a minus sign, for a hyphen is too short."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _tokens(period: float) -> str:
    return f"{period:.1f}" if period < 100 else f"{period:,.0f}"


def _alt(data: dict[str, Any]) -> str:
    shown = [distance for distance in (0, 1, 2, 4, 8, 16, 32) if distance <= data["farthest"]]
    scores = ", ".join(f"{d}: {_signed(hands(data, 0, d)[2], 1)}" for d in shown)
    rows = " and ".join(map(str, data["distances"]))
    return fill("rotary_clocks", "alt", n=len(data["frequencies"]), d=rows, scores=scores)
