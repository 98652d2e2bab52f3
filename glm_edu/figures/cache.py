"""Cache grids: a cell for each layer and token, and what becomes of it from one round of a chat to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from glm_edu.cost.reuse import Fate
from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_rank, check_tokens, fill
from glm_edu.figures.grid import grid, token_heads, token_row
from glm_edu.figures.markup import esc, token_label
from glm_edu.figures.palette import FAMILIES, WORDS
from glm_edu.figures.panels import check_choice, panel, radios
from glm_edu.figures.svg import digest

CLASSES = {Fate.KEPT: "kept", Fate.AGAIN: "again", Fate.NEW: "new"}


@dataclass(frozen=True)
class CacheGrid:
    """The cells of one model in one round: ``fates`` has a row a layer and a column a token."""

    tokens: Sequence[str]
    fates: Int[Tensor, "l k"]
    family: str = "v1"


def cache_rounds(
    rounds: Mapping[str, Mapping[str, CacheGrid]], *, legend: str, chosen: str, caption: str = "", title: str = ""
) -> Figure:
    """One panel a round by radio buttons that need no script; in it, the grids of one or more models by name.

    Raises:
        InputError: fewer than two rounds or more than eight, an unknown ``chosen``, or a grid whose tokens, fates or
            family do not fit.
    """
    check_choice("rounds", rounds, chosen)
    drawn = {}
    for name, models in rounds.items():
        for model, cells in models.items():
            _check(f"rounds[{name!r}][{model!r}]", cells)
        drawn[name] = panel(name, "".join(_model(model, cells) for model, cells in models.items()) + _key())
    data: dict[str, Any] = {
        "legend": legend, "chosen": chosen,
        "rounds": {name: {model: _data(cells) for model, cells in models.items()} for name, models in rounds.items()},
    }  # fmt: skip
    parts = (f"{name}, {model}: {_count(cells)}" for name, models in rounds.items() for model, cells in models.items())
    alt, picture = fill("cache_rounds", "alt", parts="; ".join(parts)), "".join(drawn.values())
    controls = radios([*rounds], legend, chosen, digest(alt + caption + title + picture))
    return Figure("cache_rounds", data, alt, picture, caption, title, controls)


def _check(name: str, cells: CacheGrid) -> None:
    check_rank(f"{name}.fates", cells.fates, "l k")
    check_tokens(f"{name}.tokens", cells.tokens, cells.fates.shape[1], "cached token")
    if unknown := {*cells.fates.flatten().tolist()} - {*Fate}:
        raise InputError(
            f"{name}.fates holds {sorted(unknown)}; a fate is {', '.join(f'{f.value} {f.name}' for f in Fate)}."
        )
    if cells.family not in FAMILIES:
        raise InputError(f"{name}.family is {cells.family!r}; the families are {', '.join(FAMILIES)}.")


def _count(cells: CacheGrid) -> str:
    found = {CLASSES[fate]: int(cells.fates.eq(fate).sum()) for fate in Fate}
    return fill("cache_rounds", "count", **found)


def _model(name: str, cells: CacheGrid) -> str:
    labels = [token_label(token) for token in cells.tokens]
    layers = [fill("cache_rounds", "layer", i=i) for i in range(len(cells.fates))]
    rows = [token_row(layer, "".join(_cell(layer, *cell) for cell in zip(labels, row, strict=True)))
            for layer, row in zip(layers, cells.fates.tolist(), strict=True)]  # fmt: skip
    table = grid("glm-cache", len(labels), layers, token_heads(labels), "".join(reversed(rows)))
    words = f'<p class="glm-model"><b>{esc(name)}</b> {esc(_count(cells))}</p>'
    return f'<div class="glm-one glm-{cells.family}">{words}{table}</div>'


def _cell(layer: str, token: str, fate: int) -> str:
    told = fill("cache_rounds", CLASSES[Fate(fate)], layer=layer, token=token)
    return f'<td class={CLASSES[Fate(fate)]} title="{esc(told)}"></td>'


def _key() -> str:
    words = WORDS["cache_rounds"]
    marks = "".join(f'<i class="{name}"></i>{esc(words[f"key_{name}"])}' for name in CLASSES.values())
    return f'<p class="glm-scale glm-fates">{marks}</p>'


def _data(cells: CacheGrid) -> dict[str, Any]:
    return {"tokens": [token_label(token) for token in cells.tokens], "fates": cells.fates.tolist()}
