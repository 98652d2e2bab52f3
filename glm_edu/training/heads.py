"""What the heads of Tang GLM learned, and whether it matters: a search over all of them, then an ablation.

    python -m glm_edu.training.heads          prints the table; --write stores it for the book

The search scores each head by each kind of looking in ``behaviours``: the attention on its pairs, beside what uniform
attention over the visible tokens would put there. The best head of each kind is then ablated. Its slice of
``blocks.i.attention.mixed`` is replaced by the slice's mean over all tokens of the test poems: a mean, because the
layers behind it were trained on what the head says, and zero is a thing that it never says. Zeros would measure that
surprise too, and a mean takes away only what the head knows about this token. What changes is the loss that should need
the head, with an interval over poems, beside the change for the head of median effect among the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.model.transformer import Transformer
from glm_edu.record import record
from glm_edu.training.batches import Batch, collate
from glm_edu.training.behaviours import BEHAVIOURS, Layout, attention_mass, layout, pairs_of, uniform_mass
from glm_edu.training.bootstrap import mean_interval
from glm_edu.training.command import measure_and_show, measuring_parser
from glm_edu.training.corrupt import corrupt
from glm_edu.training.held_out import held_out
from glm_edu.training.poems import Poem
from glm_edu.training.results import load
from glm_edu.training.rounding import rounded
from glm_edu.training.vocabulary import tang_tokenizer

FORMS = ("4x5", "4x7", "8x5", "8x7")
TASKS = ("blank", "rest")
LOSSES: dict[str, tuple[str, Callable[[Layout], Bool[Tensor, " s"]]]] = {  # task, and the tokens that are predicted
    "blank": ("blank", lambda where: where.answer & where.character),
    "rest": ("rest", lambda where: where.answer & where.character),
    "rhyme": ("rest", lambda where: where.answer & where.rhyme),
    "punctuation": ("rest", lambda where: where.answer & where.punctuation),
}
MEANINGS = {
    "blank": "characters of the blank", "rest": "characters of the rest", "rhyme": "rhymes of the rest",
    "punctuation": "， and 。 of the rest",
}  # fmt: skip
Losses = dict[str, Float[Tensor, " poems"]]


def lay_out(chosen: Sequence[Poem], task: str) -> Batch:
    """Poems of one form, blanked as ``layout`` says: one batch without padding."""
    tokenizer, blank = tang_tokenizer(), layout(chosen[0].form, task).blank
    mask = "[MASK]" if task == "blank" else "[gMASK]"
    ids = (tokenizer.encode(poem.text, add_special_tokens=False) for poem in chosen)
    return collate([corrupt(poem, [blank], tokenizer, mask) for poem in ids], tokenizer.pad_id)


@cache
def held_out_batches(most: int) -> dict[tuple[str, str], Batch]:
    """The batch of each form and task, of up to ``most`` test poems a form."""
    return {(form, task): lay_out(held_out(form, most), task) for form in FORMS for task in TASKS}


def poem_losses(logits: Float[Tensor, "b s v"], batch: Batch, where: Layout, task: str) -> Losses:
    """The losses of a task: cross entropy in nats, the mean over the tokens of each poem that count."""
    found = {}
    for name, (of_task, counted) in LOSSES.items():
        if of_task == task:
            index = counted(where).nonzero()[:, 0]  # c   the tokens that are predicted, each from the one before it
            surprise = logits[:, index - 1].float().log_softmax(-1)  # b c v
            found[name] = -surprise.gather(-1, batch.ids[:, index, None])[..., 0].mean(-1)  # b
    return found


@torch.no_grad()
def measure_losses(model: Transformer, batches: dict[tuple[str, str], Batch]) -> Losses:
    """All losses of each poem, form after form. Inside ``mean_ablation`` they are those of the ablated model."""
    parts: dict[str, list[Tensor]] = {name: [] for name in LOSSES}
    for (form, task), batch in batches.items():
        logits = model(batch.ids, position_ids=batch.positions)  # b s v
        for name, values in poem_losses(logits, batch, layout(form, task), task).items():
            parts[name].append(values)
    return {name: torch.cat(values) for name, values in parts.items()}


@torch.no_grad()
def measure_attention(
    model: Transformer, batches: dict[tuple[str, str], Batch]
) -> tuple[dict[str, Float[Tensor, "poems l n"]], Float[Tensor, "l h"]]:
    """The attention on the pairs of each kind, a poem, a layer and a head; and the mean of ``mixed`` in each layer."""
    masses: dict[str, list[Tensor]] = {kind: [] for kind in BEHAVIOURS}
    total, tokens, layers = torch.zeros(()), 0, range(model.config.num_layers)
    for (form, task), batch in batches.items():
        with record(model, ["blocks.*.attention.probs", "blocks.*.attention.mixed"]) as seen:
            model(batch.ids, position_ids=batch.positions)
        for kind in (kind for kind, behaviour in BEHAVIOURS.items() if behaviour.task == task):
            pairs = pairs_of(kind, form)
            probs = (seen[f"blocks.{i}.attention.probs"] for i in layers)
            masses[kind].append(torch.stack([attention_mass(p, pairs) for p in probs], dim=1))  # b l n
        total = total + torch.stack([seen[f"blocks.{i}.attention.mixed"].sum((0, 1)) for i in layers])  # l h
        tokens += batch.ids.numel()
    return {kind: torch.cat(parts) for kind, parts in masses.items()}, total / tokens


def mean_ablation(
    model: Transformer, layer: int, head: int, mean: Float[Tensor, "*places d"]
) -> record:  # fmt: skip
    """``with mean_ablation(model, layer, head, mean):`` the head says ``mean``, whatever it looks at.

    Args:
        mean: one vector for every token, or one for each, [batch, seq, head_dim].

    Raises:
        InputError: a layer or head that the model does not have.
    """
    _check_head(model, layer, head)
    d = model.config.head_dim

    def replaced(mixed: Tensor) -> Tensor:
        mixed[..., head * d : (head + 1) * d] = mean  # b s n*d
        return mixed

    name = f"blocks.{layer}.attention.mixed"
    return record(model, names=(), replace={name: replaced})


def _check_head(model: Transformer, layer: int, head: int) -> None:
    if not (0 <= layer < model.config.num_layers and 0 <= head < model.config.num_heads):
        raise InputError(
            f"There is no head {head} in layer {layer}; layers run from 0 to {model.config.num_layers - 1}, heads from "
            f"0 to {model.config.num_heads - 1}."
        )


def measure_ablations(
    model: Transformer, batches: dict[tuple[str, str], Batch], means: Float[Tensor, "l h"]
) -> dict[str, Float[Tensor, "poems l n"]]:
    """The change of each loss of each poem, in nats, when each head is ablated; more than 0: the head helps."""
    whole, d = measure_losses(model, batches), model.config.head_dim
    changes: dict[str, list[list[Tensor]]] = {name: [] for name in LOSSES}
    for layer in range(model.config.num_layers):
        heads = []
        for head in range(model.config.num_heads):
            with mean_ablation(model, layer, head, means[layer, head * d : (head + 1) * d]):
                heads.append(measure_losses(model, batches))
        for name in LOSSES:
            changes[name].append([losses[name] - whole[name] for losses in heads])
    return {name: torch.stack([torch.stack(row, -1) for row in rows], 1) for name, rows in changes.items()}


def effect(change: Float[Tensor, "poems l n"], layer: int, head: int) -> dict[str, Any]:
    """What ablating one head changes, beside the other head of median change, and its rank: 1 = the largest change."""
    flat, best = change.flatten(1), layer * change.shape[2] + head  # poems l*n
    means = flat.mean(0)  # l*n
    others = [int(i) for i in means.argsort() if i != best]
    median = others[len(others) // 2]
    return {
        "change": means[best].item(), "change interval": mean_interval(flat[:, best]),
        "control": list(divmod(median, change.shape[2])), "control change": means[median].item(),
        "control interval": mean_interval(flat[:, median]), "rank": int((means > means[best]).sum()) + 1,
    }  # fmt: skip


def measure_heads(model: Transformer, most: int = 50) -> dict[str, Any]:
    """Search and ablate, on up to ``most`` test poems of each form."""
    batches = held_out_batches(most)
    masses, means = measure_attention(model, batches)
    changes = measure_ablations(model, batches, means)
    kinds = {}
    for kind, behaviour in BEHAVIOURS.items():
        mass, even = masses[kind], _uniform(kind, batches)
        layer, head = divmod(int(mass.mean(0).argmax()), model.config.num_heads)
        best = mass[:, layer, head]
        kinds[kind] = {
            "meaning": behaviour.meaning, "best": [layer, head], "mass": best.mean().item(),
            "mass interval": mean_interval(best), "uniform": even, "lift": best.mean().item() / even,
            "masses": mass.mean(0).tolist(), "loss": behaviour.loss, **effect(changes[behaviour.loss], layer, head),
        }  # fmt: skip
    return rounded({
        "settings": {"poems": {form: len(batches[form, "blank"].ids) for form in FORMS}},
        "kinds": kinds,
        "losses": {name: values.mean().item() for name, values in measure_losses(model, batches).items()},
        "changes": {name: change.mean(0).tolist() for name, change in changes.items()},
    })  # fmt: skip


def _uniform(kind: str, batches: dict[tuple[str, str], Batch]) -> float:
    """What uniform attention puts on the pairs of a kind: the mean over the same poems."""
    task = BEHAVIOURS[kind].task
    even = {form: uniform_mass(pairs_of(kind, form), layout(form, task).visible) for form in FORMS}
    counts = {form: len(batches[form, task].ids) for form in FORMS}
    return sum(even[form] * counts[form] for form in FORMS) / sum(counts.values())


def best_head(kind: str) -> tuple[int, int]:
    """(layer, head), from 0, of the head that does most of one kind of looking, by the stored search.

    Raises:
        InputError: a kind that was not searched for.
        ResultsNotFoundError: no search is stored.
    """
    kinds = load("heads")["kinds"]
    if kind not in kinds:
        raise InputError(f"There is no kind {kind!r}. There are: {', '.join(kinds)}.")
    layer, head = kinds[kind]["best"]
    return layer, head


def heads_table(results: dict[str, Any]) -> str:
    """The best head of each kind as text."""
    counts = ", ".join(f"{number} {form}" for form, number in results["settings"]["poems"].items())
    rows = [
        f"Heads of Tang GLM on test poems ({counts}); layers and heads count from 0; intervals are 95 % over poems", "",
        f"{'kind of looking':<24}{'head':<6}{'mass':>6}{'even':>7}{'lift':>7}   {'loss when ablated':<18}"
        f"{'change, nats':>13}  {'95 %':<18}{'rank':<6}{'median other':>12}  95 %",
    ]  # fmt: skip
    for kind, found in results["kinds"].items():
        layer, head = found["best"]
        rows.append(
            f"{kind:<24}{f'{layer}.{head}':<6}{found['mass']:>6.2f}{found['uniform']:>7.3f}{found['lift']:>7.1f}   "
            f"{found['loss']:<18}{found['change']:>+13.3f}  {_range(found['change interval']):<18}{found['rank']:<6}"
            f"{found['control change']:>+12.3f}  {_range(found['control interval'])}"
        )
    losses = (f"{MEANINGS[name]} {value:.3f}" for name, value in results["losses"].items())
    return "\n".join([*rows, "", f"losses of the whole model, nats a token: {', '.join(losses)}"])


def _range(interval: Sequence[float]) -> str:
    return f"{interval[0]:+.3f} to {interval[1]:+.3f}"


def main(arguments: list[str] | None = None) -> int:
    """Search, ablate, print, and store with ``--write``."""
    wanted = measuring_parser("heads", "What the heads of Tang GLM learned.").parse_args(arguments)
    return measure_and_show(
        "heads", lambda: measure_heads(Transformer.from_pretrained("tang-glm")), heads_table, wanted.write
    )


if __name__ == "__main__":
    sys.exit(main())
