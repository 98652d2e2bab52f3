"""The stored evaluation and ablation as a page shows them. Every word that judges is chosen by the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glm_edu.page.element import Element
from glm_edu.page.proof import target_proof
from glm_edu.page.table import table
from glm_edu.training.evaluate import BOTH, INFILLING, LEFT, NETWORKS, TASKS, TITLES, targets
from glm_edu.training.rounding import bracketed, signed

COLUMNS = (*TASKS, INFILLING)
VARIANTS = {
    "one-clock": ("one clock instead of two", "two clocks"),
    "causal": ("causal mask instead of the prefix mask", "the prefix mask"),
    "pre-norm": ("pre-norm instead of DeepNorm", "DeepNorm"),
}
SEES = {
    "uniform": "nothing: every character is as likely",
    "unigram": "how common a character is",
    LEFT: "the four characters before it, and where the poem starts",
    BOTH: "those, the four characters behind the blank, how far away they are, and where the poem ends",
    NETWORKS[0]: "the whole poem around the blank both ways, then the blank so far",
    NETWORKS[1]: "the same ids, but each token only what stands before it",
}
SPACE = "\xa0"  # does not break
Interval = Sequence[float]  # a value, and the ends of its 95 % interval


def rows_table(results: dict[str, Any]) -> Element:
    """What each row may see, and how many numbers it has stored of the training poems."""
    numbers = results["numbers"]
    rows = [[row, SEES[row], f"{numbers[row]:,}"] for row in results["rows"]]
    caption = (
        f"**Notice** the last column: the n-gram of both sides keeps {numbers[BOTH] / numbers[NETWORKS[0]]:.0f} times "
        f"as many numbers as `{NETWORKS[0]}` has parameters."
    )
    return table(["row", "sees", "numbers"], rows, caption, lit=NETWORKS[:1])


def nats_table(results: dict[str, Any]) -> Element:
    """Cross-entropy of every row on every task, and how far Tang GLM is from the strongest row without a network."""
    rows = [[row, *(_nats(of[task]["cross-entropy"]) for task in COLUMNS)] for row, of in results["rows"].items()]
    ahead = results["ahead"][BOTH]
    gaps = "; ".join(f"{_name(task)} {_compared(ahead[task]['cross-entropy'], '.2f')}" for task in COLUMNS)
    caption = (
        f"Nats a character on {results['poems']:,} held-out poems; lower is better; in brackets 95 % over poems. "
        f"**Notice** where `{NETWORKS[0]}` stands beside the {BOTH}: {gaps}."
    )
    return table(["", *map(_name, COLUMNS)], rows, caption, lit=NETWORKS[:1])


def accuracy_table(results: dict[str, Any]) -> Element:
    """Top-1 and top-5 accuracy of every row on every task."""
    rows = [[row, *(_shares(of[task]) for task in COLUMNS)] for row, of in results["rows"].items()]
    ahead = results["ahead"][BOTH]
    gaps = "; ".join(f"{_name(task)} {_compared(ahead[task]['top-1'], '.1%')}" for task in COLUMNS)
    caption = (
        "How often the right character is the likeliest · among the likeliest five; in brackets 95 % of the first. "
        f"**Notice** how often `{NETWORKS[0]}` is right beside the {BOTH}: {gaps}."
    )
    return table(["", *map(_name, COLUMNS)], rows, caption, lit=NETWORKS[:1])


def target_rows(results: dict[str, Any]) -> Element:
    """The targets that were set before the training, met or not."""
    return target_proof(targets(results))


def generations_table(results: dict[str, Any]) -> Element:
    """How far Tang GLM is ahead of the causal second generation, trained the same."""
    of = results["ahead"][NETWORKS[1]]
    rows = [
        [_name(task), signed(of[task]["cross-entropy"], ".2f"), signed(of[task]["top-1"], ".1%")] for task in COLUMNS
    ]
    caption = (
        f"How far `{NETWORKS[0]}` is ahead of `{NETWORKS[1]}`, with 95 % intervals of the difference over the same "
        f"poems. In cross-entropy it is {_tally(of)}."
    )
    return table(["", "nats", "top-1"], rows, caption)


def ablation_table(results: dict[str, Any]) -> Element:
    """What each choice of ChatGLM-6B is worth in short runs of our own: the difference to the reference."""
    reference = results["rows"]["reference"]
    rows = [["as ChatGLM-6B", *(_nats(reference[task]["cross-entropy"]) for task in COLUMNS)]]
    for row, (what, _) in VARIANTS.items():
        rows.append([what, *(signed(results["ahead"][row][task]["cross-entropy"], ".2f") for task in COLUMNS)])
    caption = (
        f"First row: nats a character after {results['steps']:,} steps. Others: how much more the variant needs (+) or "
        "how much less (−), with 95 % intervals of the difference over the same poems. "
        + " ".join(_verdict(results, row) for row in VARIANTS)
    )
    return table(["", *map(_name, COLUMNS)], rows, caption, lit=["as ChatGLM-6B"])


def _verdict(results: dict[str, Any], row: str) -> str:
    """Where a choice helped, where it did not, and where the interval holds 0."""
    of, (_, choice) = results["ahead"][row], VARIANTS[row]
    return f"{choice[0].upper()}{choice[1:]}: {_tally(of)}."


def _tally(of: dict[str, Any]) -> str:
    kinds: dict[str, list[str]] = {"ahead": [], "behind": [], "not to be told apart": []}
    for task in TASKS:
        _, low, high = of[task]["cross-entropy"]
        kinds["ahead" if low > 0 else "behind" if high < 0 else "not to be told apart"].append(_name(task))
    return "; ".join(f"{kind} for {_listed(tasks)}" for kind, tasks in kinds.items() if tasks)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _name(task: str) -> str:
    return TITLES.get(task, task)


def _compared(ahead: Interval, digits: str) -> str:
    value, low, high = ahead
    if low <= 0 <= high:
        return f"not to be told apart, {signed(ahead, digits)}"
    return f"{abs(value):{digits}} {'ahead' if value > 0 else 'behind'}"


def _nats(interval: Interval) -> str:
    return bracketed(*(f"{number:.2f}" for number in interval))


def _shares(of: dict[str, Interval]) -> str:
    value, low, high = (f"{share:.1%}" for share in of["top-1"])
    return bracketed(f"{value}{SPACE}·{SPACE}{of['top-5'][0]:.0%}", low, high)
