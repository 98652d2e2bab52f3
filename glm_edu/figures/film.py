"""Attention film: the map of one text at several steps of a training, and what the network said there."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.attention import heat, links, scale, thumbnails
from glm_edu.figures.figure import Figure, check_finite, check_rank, check_tokens, fill
from glm_edu.figures.markup import esc, token_label
from glm_edu.figures.palette import FAMILIES
from glm_edu.training.shades import pack, unpack


def attention_film(
    frames: Sequence[Float[Tensor, "n q k"]],
    steps: Sequence[int],
    tokens: Sequence[str],
    said: Sequence[str],
    *,
    heads: Sequence[str],
    head: int = 0,
    caption: str = "",
    title: str = "",
    family: str = "v1",
    key_tokens: Sequence[str] | None = None,
) -> Figure:
    """One slider, the training step: it repaints every head, and shows what ``said`` holds for that step.

    ``frames``, ``steps`` and ``said`` have one entry a step, ``heads`` one name a head. Without a script the last
    step stands. ``key_tokens`` names the columns where they are not the rows (a prefix). The data holds a letter a
    weight (``shades.pack``). Raises InputError for what does not fit.
    """
    labels = [token_label(token) for token in tokens]
    columns = labels if key_tokens is None else [token_label(token) for token in key_tokens]
    _check(frames, steps, labels, columns, said, heads)
    if not 0 <= head < len(heads) or family not in FAMILIES:
        raise InputError(
            f"head {head} of {len(heads)}, family {family!r}: give a head in range and one of {list(FAMILIES)}."
        )
    packed = [pack(probs) for probs in frames]
    data = {"head": head, "heads": [*heads], "rows": labels, "columns": columns, "family": family, "steps": [*steps],
            "said": [*said], "frames": packed}  # fmt: skip
    last = (unpack(packed[-1], len(labels)) * 1000).round().int().tolist()
    words = f'<p class="glm-said">{esc(said[-1])}</p>'
    picture = thumbnails(last, head, heads) + words + heat(last[head], labels, columns) + scale()
    values = {"first": steps[0], "last": steps[-1], "said": said[-1], "links": links(last[head], labels, columns)}
    alt = fill("attention_film", "alt", h=heads[head], n=len(heads), **values)
    return Figure("attention_film", data, alt, f'<div class="glm-{family}">{picture}</div>', caption, title)


def _check(
    frames: Sequence[Tensor], steps: Sequence[int], labels: list[str], columns: list[str], said: Sequence[str],
    heads: Sequence[str],
) -> None:  # fmt: skip
    if not len(frames) == len(steps) == len(said) or not frames:
        raise InputError(f"{len(frames)} frames, {len(steps)} steps, {len(said)} said: give one of each, and any.")
    for step, probs in zip(steps, frames, strict=True):
        check_rank(f"the frame of step {step}", probs, "n q k")
        check_tokens("heads", heads, probs.shape[0], "head")
        check_tokens("tokens", labels, probs.shape[1], "query")
        check_tokens("tokens" if columns is labels else "key_tokens", columns, probs.shape[2], "key")
        check_finite(f"the frame of step {step}", probs)
