"""Stages of attention: what becomes of one query's scores on the way to an average, a row a stage, a column a key."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.cells import Cell, Table, cell_tables, shown_first
from glm_edu.figures.figure import Figure, check_rank, check_tokens, fill
from glm_edu.figures.markup import token_label
from glm_edu.figures.palette import WORDS
from glm_edu.model import attention

Stages = Mapping[str, Float[Tensor, " k"]]


def attention_stages(
    query: Float[Tensor, " d"], key: Float[Tensor, "k d"], value: Float[Tensor, "k d"], visible: Bool[Tensor, " k"], *,
    dtype: torch.dtype = torch.float32, layer: int = 1, mask_value: float = -10000.0,
) -> dict[str, Float[Tensor, " k"]]:  # fmt: skip
    """One query through the package's attention in ``dtype``, with ``layer`` as the factor c: every stage in float32.

    The product as ``dtype`` holds it (the query was divided by c sqrt(d) before), then with hidden keys overwritten,
    times c, the weights, and how long each value is times its weight. Raises InputError for shapes that do not fit each
    other, and for a layer below 1.
    """
    if not key.shape == value.shape == (*visible.shape, *query.shape) or layer < 1:
        raise InputError(
            f"query {[*query.shape]}, key {[*key.shape]}, value {[*value.shape]}, visible {[*visible.shape]}, layer "
            f"{layer}: expected [d], [k d], [k d], [k], and layers counted from 1."
        )
    seen: dict[str, Tensor] = {}
    q, k, v = (x.to(dtype)[None, None] for x in (query[None], key, value))  # 1 1 q d, 1 1 k d
    mask = visible[None, None, None]  # 1 1 1 k
    product = attention.attention_scores(q, k, None, layer=layer) / layer  # 1 1 1 k   the factor is taken off again
    attention.eager_attention(
        q, k, v, mask, mask_value, layer,
        on_scores=lambda x: seen.setdefault("scores", x), on_probs=lambda x: seen.setdefault("probs", x),
    )  # fmt: skip
    weights = seen["probs"].float()  # 1 1 1 k
    rows = (product, seen["scores"] / layer, seen["scores"], weights, weights * v.float().norm(dim=-1)[:, :, None])
    names = (WORDS["score_stages"][name] for name in ("product", "hidden", "undone", "weights", "share"))
    return {name: row[0, 0, 0] for name, row in zip(names, rows, strict=True)}


def score_stages(
    ways: Mapping[str, Stages], tokens: Sequence[str], visible: Bool[Tensor, " k"], *,
    chosen: str = "", legend: str = "", caption: str = "", title: str = "",
) -> Figure:  # fmt: skip
    """One table for each of ``ways``: a row a stage, a column a key.

    The full shade of a row is the largest number of a visible key; what lies beyond it, is infinite or NaN has the full
    shade too, NaN that of negative numbers. With more than one way ``legend`` names the choice and ``chosen`` is shown
    first. Raises InputError for ``ways`` without stages, and for tokens that do not fit.
    """
    check_rank("visible", visible, "k")
    check_tokens("tokens", tokens, len(visible), "key")
    columns, tables = [token_label(token) for token in tokens], {}
    for name, stages in ways.items():
        if not stages:
            raise InputError(f"ways[{name!r}] has no stages; give at least one row [k].")
        for values in stages.values():
            check_tokens("tokens", tokens, len(values), "key")
        cells = [_cells(stage, values.double(), columns, visible) for stage, values in stages.items()]
        tables[name] = Table([*stages], columns, cells)
    return cell_tables(tables, legend, chosen, _alt(shown_first(tables, chosen)), caption, title)


def _cells(stage: str, values: Float[Tensor, " k"], columns: list[str], visible: Bool[Tensor, " k"]) -> list[Cell]:
    shown = values[visible & values.isfinite()].abs()
    most = float(shown.max()) if len(shown) else 0.0

    def cell(value: float, column: str) -> Cell:
        text = _number(value, most)
        told = fill("score_stages", "cell", stage=stage, key=column, value=text)
        return Cell(text, _shade(value, most), told)

    return [cell(*each) for each in zip(values.tolist(), columns, strict=True)]


def _shade(value: float, most: float) -> float:
    if math.isnan(value):
        return -1.0
    return round(max(-1.0, min(1.0, value / most)), 2) or 0.0 if most else 0.0


def _number(value: float, most: float) -> str:
    """As many decimals as the row needs; thousands as k, so that a column stays narrow."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    size = max(abs(value), most)
    places = 2 if size < 10 else 1 if size < 100 else 0
    text = f"{value / 1000:.0f}k" if abs(value) >= 9999.5 else f"{value:.{places}f}"
    return text.replace("-", "−") if float(text.removesuffix("k")) else text.removeprefix("-")


def _alt(table: Table) -> str:
    lines = zip(table.rows, table.cells, strict=True)
    rows = (f"{row}: {', '.join(cell.text for cell in cells)}" for row, cells in lines)
    return fill("score_stages", "alt", keys=" ".join(table.columns), rows="; ".join(rows))
