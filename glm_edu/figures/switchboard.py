"""The switchboard: every decision of the family as a row with three settings, and what the chosen ones make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from jaxtyping import Float
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.cost import cache_bytes
from glm_edu.errors import InputError
from glm_edu.figures.attention import heat, scale
from glm_edu.figures.figure import Figure, check_finite, check_rank, check_tokens, fill
from glm_edu.figures.markup import esc, token_label
from glm_edu.figures.palette import FAMILIES, WORDS
from glm_edu.switchboard import SIZE, assemble, fields_of, shapes

ROWS = {  # switch: its words in ModelConfig.describe
    SIZE: "size", "norm": "norm", "residual": "residual", "position": "rotary", "mask": "mask",
    "feed-forward": "feed-forward", "groups": "heads / kv groups",
}  # fmt: skip
COUNTED = (SIZE, "norm", "feed-forward", "groups")  # the switches that change parameters or the cache


@dataclass(frozen=True)
class TrainedMap:
    """The attention map of one head of a trained model, for the setting that has one."""

    probs: Float[Tensor, "q k"]
    tokens: Sequence[str]
    words: str


def switchboard(
    models: Mapping[str, ModelConfig], maps: Mapping[str, TrainedMap], *, caption: str = "", title: str = ""
) -> Figure:
    """A table of switches that starts on the first of ``models`` (named like the palette's families).

    Beside it: the changed lines of the config, the parameters, the bytes of cache a token takes in float16, the shapes,
    and the map of the trained model of ``maps`` where all switches but the size stand on one model that has one.

    Raises:
        InputError: no model, a model or a map whose name is no family, or a map whose tokens do not fit or that holds
            NaN.
    """
    if wrong := {*models, *maps} - {*FAMILIES}:
        raise InputError(f"{sorted(wrong)} are not families; the families are {', '.join(FAMILIES)}.")
    if not models:
        raise InputError("switchboard needs at least one model.")
    for name, one in maps.items():
        check_rank(f"maps[{name!r}].probs", one.probs, "q k")
        check_finite(f"maps[{name!r}].probs", one.probs)
        for axis, length in zip(("query", "key"), one.probs.shape, strict=True):
            check_tokens(f"maps[{name!r}].tokens", one.tokens, length, axis)
    first = next(iter(models))
    data: dict[str, Any] = {
        "start": first, "switches": [*ROWS], "counted": [*COUNTED],
        "models": {name: FAMILIES[name].label for name in models},
        "fields": {switch: {name: _lines(model, switch) for name, model in models.items()} for switch in ROWS},
        "sums": _sums(models), "shapes": _shapes(models), "maps": [*maps],
    }  # fmt: skip
    picture = _table(models, first) + _result(data) + "".join(_map(name, maps[name], name == first) for name in maps)
    picture += f'<p class="glm-said" data-map="none" hidden>{esc(WORDS["switchboard"]["no_map"])}</p>'
    alt = fill("switchboard", "alt", switches=", ".join(ROWS), models=", ".join(data["models"].values()))
    return Figure("switchboard", data, alt, picture, caption, title)


def _lines(model: ModelConfig, switch: str) -> list[str]:
    """``name=value`` for each field that the switch sets."""
    return [f"{field}={value!r}" for field, value in fields_of(model, switch).items()]


def _sums(models: Mapping[str, ModelConfig]) -> dict[str, list[int]]:
    """[parameters, bytes of cache a token] for each way to set the switches that count, by their names in order."""
    found = {}
    for names in product(models, repeat=len(COUNTED)):
        config = assemble(models, {switch: names[0] for switch in ROWS} | dict(zip(COUNTED, names, strict=True)))
        found[" ".join(names)] = [config.parameter_count, cache_bytes(config, 1)]
    return found


def _shapes(models: Mapping[str, ModelConfig]) -> list[dict[str, Any]]:
    """Each tensor, the switch that decides its shape, and the shape under each model."""
    decides = {"position_ids": "position", "query": SIZE, "key, value": "groups", "feedforward.hidden": "feed-forward",
               "logits": SIZE}  # fmt: skip
    return [{"tensor": tensor, "switch": switch, "of": {name: shapes(model)[tensor] for name, model in models.items()}}
            for tensor, switch in decides.items()]  # fmt: skip


def _table(models: Mapping[str, ModelConfig], first: str) -> str:
    words = {name: model.describe() for name, model in models.items()}
    heads = "".join(f'<th scope="col" class="glm-{name}">{esc(FAMILIES[name].label)}</th>' for name in models)
    rows = "".join(_row(switch, {name: words[name][row] for name in models}, first) for switch, row in ROWS.items())
    return f'<table class="glm-switches"><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _row(switch: str, words: Mapping[str, str], first: str) -> str:
    cells = "".join(
        f'<td class="glm-{name}{" now" if name == first else ""}"><span>{esc(text)}</span></td>'
        for name, text in words.items()
    )
    return f'<tr><th scope="row">{esc(switch)}</th>{cells}</tr>'


def _result(data: Mapping[str, Any]) -> str:
    """What the switches make where they stand at first; live.js writes the same lines anew."""
    words, first = WORDS["switchboard"], data["start"]
    parameters, cached = data["sums"][" ".join([first] * len(COUNTED))]
    lines = [
        ("who", data["models"][first]),
        ("parameters", f"{parameters:,}"),
        ("cache", fill("switchboard", "bytes", n=f"{cached:,}", kib=f"{cached / 1024:g}")),
        ("shapes", " · ".join(f"{row['tensor']} [{row['of'][first]}]" for row in data["shapes"])),
        ("changed", words["nothing"]),
    ]
    rows = "".join(f'<dt>{esc(words[name])}</dt><dd data-sum="{name}">{esc(text)}</dd>' for name, text in lines)
    return f'<dl class="glm-sums" aria-live="polite">{rows}</dl>'


def _map(name: str, one: TrainedMap, shown: bool) -> str:
    thousandths = (one.probs.detach().double() * 1000).round().int().tolist()
    labels = [token_label(token) for token in one.tokens]
    hidden = "" if shown else " hidden"
    return (f'<div class="glm-{name}" data-map="{name}"{hidden}><p class="glm-part">{esc(one.words)}</p>'
            f"{heat(thousandths, labels, labels)}{scale()}</div>")  # fmt: skip
