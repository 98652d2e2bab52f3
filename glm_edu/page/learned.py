"""What Tang GLM writes and what its heads do, as stored. Every word that judges is chosen by the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from glm_edu.figures.effects import effect_map
from glm_edu.figures.figure import Figure
from glm_edu.page.element import Element
from glm_edu.page.proof import target_proof
from glm_edu.page.table import table
from glm_edu.training.behaviours import BEHAVIOURS
from glm_edu.training.heads import MEANINGS
from glm_edu.training.quality import POINTS, quality_targets
from glm_edu.training.rounding import bracketed

Entry = dict[str, Any]  # what is stored of one kind of looking
SPACE = "\xa0"  # does not break, and a label does not draw it


def form_table(results: dict[str, Any]) -> Element:
    """The share of generated poems that are right in each point of form."""
    settings, form = results["settings"], results["form"]
    counts = " and ".join(f"{number} of form {name}" for name, number in settings["poems"].items())
    rows = [[_code(p), *(_percent(shares[p]) for shares in form.values())] for p in POINTS]
    rows[-1][-1] = _percent(form["both"][POINTS[-1]], form["both"]["interval"])
    caption = (
        f"Written on from first lines: {counts}; temperature {settings['temperature']}, top-k {settings['top_k']}, "
        f"top-p {settings['top_p']}; in brackets 95 % over poems. Of those that are right in all, "
        f"{_percent(form['both']['quatrains'])} are quatrains, the others have eight lines."
    )
    return table(["right in", "five characters", "seven characters", "all"], rows, caption, lit=POINTS[-1:])


def rhyme_table(results: dict[str, Any]) -> Element:
    """How often lines 2 and 4 rhyme, in one poem and across poems."""
    rhyme = results["rhyme"]
    rows = [
        [
            f"{name}, {found['poems']} poems",
            *(_percent(found[key], found[f"{key} interval"]) for key in ("rate", "control")),
            bracketed(*(f"{number:.1f}" for number in (found["ratio"], *found["ratio interval"]))),
        ]
        for name, found in rhyme.items()
    ]
    share = rhyme["generated"]["rate"] / rhyme["real"]["rate"]
    caption = f"Lines 2 and 4 rhyme, with 95 % over poems. The generated poems come to {share:.0%} of the real ones."
    return table(["", "in one poem", "across poems", "ratio"], rows, caption)


def copies_table(results: dict[str, Any]) -> Element:
    """How many lines stand in training poems, and the longest runs that are shared with one."""
    rows = [
        [
            name, f"{found['lines']:,}", f"{found['copied']}: {_percent(found['share'], found['interval'])}",
            f"{found['mean run']:.1f}", f"{found['longest run']}",
        ]
        for name, found in results["copies"].items()
    ]  # fmt: skip
    copied, usual = (results["copies"][name]["interval"] for name in ("generated", "real"))
    often = "more often" if copied[0] > usual[1] else "less often" if copied[1] < usual[0] else "about as often"
    caption = (
        "Lines after the first, with 95 % over lines; runs in characters. **Notice** that generated lines stand in a "
        f"training poem {often} {'as' if 'as' in often else 'than'} real ones."
    )
    columns = ["", "lines", "stand in a training poem", "longest shared run, mean", "longest of all"]
    return table(columns, rows, caption)


def quality_rows(results: dict[str, Any]) -> Element:
    """The targets that were set before the training, met or not."""
    return target_proof(quality_targets(results))


def kinds_table() -> Element:
    """The kinds of looking that are searched for."""
    rows = [[_code(kind), behaviour.task, _code(behaviour.meaning)] for kind, behaviour in BEHAVIOURS.items()]
    return table(["kind", "layout", "what counts"], rows, "Each kind is a set of pairs: who looks at whom.")


def mass_map(results: dict[str, Any]) -> Figure:
    """The attention of every head on the pairs of every kind."""
    kinds: dict[str, Entry] = results["kinds"]
    masses = torch.tensor([entry["masses"] for entry in kinds.values()])  # kinds l n
    heads = [f"{layer}.{head}" for layer in range(masses.shape[1]) for head in range(masses.shape[2])]
    strong = sum(entry["mass"] >= 0.5 for entry in kinds.values())
    return effect_map(
        {"mass": masses.flatten(1)}, rows=[_label(kind) for kind in kinds], columns={"mass": heads}, unit=0.01,
        told="{row}: head {column} gives {value} % of its attention",
        title="Attention on the pairs of each kind, in percent",
        caption="Rows are kinds, columns are heads: layer and head, from 0. **Notice the dark cells:** in "
        f"{strong} of {len(kinds)} kinds one head gives half of its attention or more.",
    )  # fmt: skip


def search_table(results: dict[str, Any]) -> Element:
    """The best head of each kind, with its mass, even attention and lift."""
    kinds: dict[str, Entry] = results["kinds"]
    rows = [
        [
            _code(kind), _name(entry["best"]),
            bracketed(*(f"{number:.2f}" for number in (entry["mass"], *entry["mass interval"]))),
            f"{entry['uniform']:.2f}", f"{entry['lift']:.1f}",
        ]
        for kind, entry in kinds.items()
    ]  # fmt: skip
    weakest = min(kinds, key=lambda kind: kinds[kind]["lift"])
    caption = (
        f"The head with the largest mass, with 95 % over {sum(results['settings']['poems'].values())} poems. "
        f"**Notice** the lift: the least is {kinds[weakest]['lift']:.1f}, for {_code(weakest)}."
    )
    return table(["kind", "best head", "mass", "even attention", "lift"], rows, caption)


def effect_table(results: dict[str, Any]) -> Element:
    """What the best head of each kind is missed for, beside the control."""
    kinds: dict[str, Entry] = results["kinds"]
    rows = [
        [
            f"{_code(kind)}: {_name(entry['best'])}", MEANINGS[entry["loss"]],
            _nats(entry["change"], entry["change interval"]), str(entry["rank"]),
            f"{_name(entry['control'])}: {_nats(entry['control change'], entry['control interval'])}", verdict(entry),
        ]
        for kind, entry in kinds.items()
    ]  # fmt: skip
    heads = sum(map(len, results["changes"]["blank"]))
    more = sum(verdict(entry) == MORE for entry in kinds.values())
    caption = (
        "Change of the loss, nats a token, with 95 % over poems; more than 0: the head is missed. "
        f"**Notice** the last column: in {more} of {len(kinds)} kinds the head is missed more than the control."
    )
    columns = ["kind: head", "loss of", "change", f"rank of {heads}", "control", "the head is missed"]
    return table(columns, rows, caption)


MORE, SOME, NOT, LESS = "more than the control", "no more than the control", "not for certain", "not: better without it"


def verdict(entry: Entry) -> str:
    """The change in words: against 0, and against the interval of the control."""
    low, high = entry["change interval"]
    if low > entry["control interval"][1] and low > 0:
        return MORE
    return SOME if low > 0 else LESS if high < 0 else NOT


def _percent(share: float, interval: Sequence[float] | None = None) -> str:
    return f"{share:.1%}" if interval is None else bracketed(*(f"{number:.1%}" for number in (share, *interval)))


def _nats(change: float, interval: Sequence[float]) -> str:
    return bracketed(*map(_signed, (change, *interval)))


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−") if round(value, 2) else "0.00"


def _name(head: Sequence[int]) -> str:
    return "{}.{}".format(*head)


def _code(kind: str) -> str:
    """With its special tokens as code."""
    return re.sub("(<[a-z]+>)", r"`\1`", kind)


def _label(kind: str) -> str:
    """Short enough for an axis: "rhyme, Part B" becomes "rhyme B"."""
    short = kind.replace(" token, Part", "").replace(" line, Part", "").replace(", Part", "").removesuffix(" token")
    return short.replace(" ", SPACE)
