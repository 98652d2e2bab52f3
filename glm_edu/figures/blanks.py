"""Blank painter: a text with a blank cut out, as GLM reads it: two parts, two clocks, labels, and the mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glm_edu.figures.figure import Figure, fill
from glm_edu.figures.grid import grid, token_heads, token_row
from glm_edu.figures.markup import esc, token_label
from glm_edu.figures.palette import WORDS
from glm_edu.loss import IGNORED_LABEL
from glm_edu.text.characters import SPECIALS, CharacterTokenizer
from glm_edu.training.corrupt import corrupt


def blank_painter(
    text: Sequence[str],
    blanks: Sequence[tuple[int, int]],
    mask: str = "[MASK]",
    *,
    caption: str = "",
    title: str = "",
) -> Figure:
    """What ``corrupt`` makes of ``text``, a token a column; with one blank, live controls move and resize it.

    Under each token: its part, its two clocks, its label, and what its output must say, which is the label of the
    next one. Below is the mask: rows ask, columns answer. ``live.js`` computes the same for every blank; a browser
    test compares the two. Raises InputError for what ``corrupt`` refuses.
    """
    data = _layout([token_label(token) for token in text], blanks, mask)
    return Figure("blank_painter", data, _alt(data), _table(data), caption, title)


def _layout(text: list[str], blanks: Sequence[tuple[int, int]], mask: str) -> dict[str, Any]:
    """The tensors of ``corrupt`` as lists, with tokens for ids and None for -100."""
    tokenizer = CharacterTokenizer(dict.fromkeys([*SPECIALS, *text]))
    example = corrupt([tokenizer.ids[token] for token in text], blanks, tokenizer, mask)
    labels = [None if label == IGNORED_LABEL else tokenizer.tokens[label] for label in example.labels.tolist()]
    tokens = [tokenizer.tokens[i] for i in example.ids.tolist()]
    return {
        "text": text, "start": blanks[0][0], "length": blanks[0][1], "kind": mask, "live": len(blanks) == 1,
        "tokens": tokens, "context": tokens.index("<sop>"), "positions": example.positions.tolist(),
        "labels": labels, "mask": example.mask.int().tolist(),
    }  # fmt: skip


def _table(data: dict[str, Any]) -> str:
    tokens, labels, context = data["tokens"], data["labels"], data["context"]
    names = WORDS["blank_painter"]
    parts = "".join(
        f'<th scope="colgroup" colspan="{size}">{esc(names[part])}</th>'
        for part, size in (("a", context), ("b", len(tokens) - context))
    )
    rows = {
        **{
            name: "".join(f"<td>{i}</td>" for i in clock)
            for name, clock in zip(("position", "block"), data["positions"], strict=True)
        },
        "label": "".join(_label(label) for label in labels),
        "says": "".join(_label(label, "") for label in [*labels[1:], None]),
    }
    head = token_row(names["part"], parts, name="part")
    head += "".join(token_row(names[name], cells, name=name) for name, cells in rows.items())
    body = "".join(token_row(token, _cells(row, context)) for token, row in zip(tokens, data["mask"], strict=True))
    return grid("glm-mask glm-blank", len(tokens), tokens, token_heads(tokens) + head, body)


def _label(label: str | None, ignored: str = str(IGNORED_LABEL)) -> str:
    return f"<td>{ignored}</td>" if label is None else f"<td class=counts>{esc(label)}</td>"


def _cells(row: list[int], context: int) -> str:
    """Visible because it is in Part A, visible because it comes before, and hidden."""
    return "".join(
        f"<td class={'ctx' if key < context else 'past'}>1</td>" if seen else "<td>0</td>"
        for key, seen in enumerate(row)
    )


def _alt(data: dict[str, Any]) -> str:
    context = data["context"]
    values = {
        "a": "".join(data["tokens"][:context]), "b": "".join(data["tokens"][context:]),
        "positions": _join(data["positions"][0][context:]), "blocks": _join(data["positions"][1][context:]),
        "counted": sum(label is not None for label in data["labels"]), "all": len(data["labels"]),
    }  # fmt: skip
    return fill("blank_painter", "alt", **values)


def _join(ids: list[int]) -> str:
    return " ".join(map(str, ids))
