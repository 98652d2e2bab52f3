"""Mask painter: who may look at whom, with the two clocks above it, and the rule that decides under your hand."""

from collections.abc import Sequence

from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_rank, check_tokens, fill
from glm_edu.figures.grid import grid, mark, token_heads, token_row
from glm_edu.figures.markup import token_label
from glm_edu.figures.palette import WORDS
from glm_edu.figures.rules import find_anchor, find_context, find_rule, rule_mask, rule_positions

CLOCKS = ("position", "block")


def mask_painter(
    mask: Bool[Tensor, "q k"],
    tokens: Sequence[str],
    position_ids: Int[Tensor, "c s"] | None = None,
    *,
    context: int | None = None,
    rules: Sequence[str] = ("prefix", "causal"),
    mistakes: Sequence[str] = (),
    pads: int = 0,
    caption: str = "",
    title: str = "",
) -> Figure:
    """The mask as given (True = visible), and live controls for the context length and the rule.

    ``context`` is the index of sop; without it, it is read off the clocks or the mask. Tensors that follow none of
    the ``rules`` and ``mistakes`` (any of ``rules.RULES``) are drawn without controls, unless you name a context: then
    it is an InputError, because the controls would lie. With ``position_ids`` the two clocks stand above the mask;
    where sop follows its mask token, the pair moves with the slider. ``pads`` counts the padding on the left.
    """
    labels = [token_label(token) for token in tokens]
    _check(mask, labels, position_ids)
    mask, clocks, offered = mask.cpu(), [] if position_ids is None else position_ids.tolist(), (*rules, *mistakes)
    at = find_context(mask, clocks, offered, pads) if context is None else context
    anchor = find_anchor(clocks, at)
    ticking = not clocks or clocks == rule_positions(at, len(mask), pads, anchor, channels=len(clocks)).tolist()
    rule = find_rule(mask, offered, at, pads) if ticking else None
    if rule is None and context is not None:
        raise InputError(_no_rule(mask, offered, context, pads, ticking))
    data = {
        "tokens": labels, "mask": mask.int().tolist(), "positions": clocks, "context": at, "pads": pads,
        "anchor": anchor, "rule": rule, "rules": list(offered) if rule else [],
        "slides": len(clocks) == 2 and anchor is None and pads < at < len(labels),
    }  # fmt: skip
    return Figure("mask_painter", data, _alt(data), _table(data), caption, title)


def _check(mask: Tensor, labels: list[str], position_ids: Tensor | None) -> None:
    check_rank("mask", mask, "q k", "Of a recorded [b 1 q k] mask, draw one example: mask[0, 0].")
    check_tokens("tokens", labels, mask.shape[0], "query")
    check_tokens("tokens", labels, mask.shape[1], "key")
    if position_ids is not None:
        check_rank("position_ids", position_ids, "c s", "Of a recorded [b 2 s], draw one example: position_ids[0].")
        check_tokens("tokens", labels, position_ids.shape[1], "position")


def _no_rule(mask: Bool[Tensor, "q k"], rules: Sequence[str], context: int, pads: int, ticking: bool) -> str:
    wrong = (rule_mask(rules[0], context, len(mask), pads) != mask).nonzero().tolist()
    cell = f"under {rules[0]!r} the first cell that differs is query {wrong[0][0]}, key {wrong[0][1]}" if wrong else ""
    return (
        f"with context {context} and {pads} pads the tensors follow none of the rules {', '.join(rules)}: "
        f"{cell if ticking else 'the position ids follow no rule'}. "
        "Leave context out to draw them as they are, without controls."
    )


def _table(data: dict) -> str:
    labels, marks = data["tokens"], ["pad"] * data["pads"]
    clocks = (
        token_row(WORDS["mask_painter"][name], "".join(f"<td>{i}</td>" for i in ids), name=name)
        for name, ids in zip(CLOCKS, data["positions"], strict=False)
    )
    body = "".join(token_row(label, _cells(data, q), mark(marks, q)) for q, label in enumerate(labels))
    return grid("glm-mask", len(labels), labels, token_heads(labels, marks) + "".join(clocks), body)


def _cells(data: dict, query: int) -> str:
    """Visible by context, by order, or by mistake, and hidden: told apart by colour, pattern and the 1 or 0 inside."""
    return "".join(
        f"<td class={_reason(data, query, key)}>1</td>" if seen else "<td>0</td>"
        for key, seen in enumerate(data["mask"][query])
    )


def _reason(data: dict, query: int, key: int) -> str:
    if data["rule"] == "sop_joins_prefix" and query < key == data["context"]:
        return "bad"
    bidirectional = data["rule"] != "causal" and (data["rule"] is not None or len(data["positions"]) == 2)
    return "ctx" if bidirectional and key < data["context"] else "past"


def _alt(data: dict) -> str:
    rule, context = data["rule"], data["context"]
    if rule is None:
        detail = fill("mask_painter", "alt_other")
    elif rule == "causal":
        detail = fill("mask_painter", "alt_causal")
    else:
        detail = fill("mask_painter", "alt_prefix", c=context + (rule == "sop_joins_prefix"))
    seen = sum(map(sum, data["mask"]))
    return fill("mask_painter", "alt", n=len(data["tokens"]), detail=detail, seen=seen, all=len(data["tokens"]) ** 2)
