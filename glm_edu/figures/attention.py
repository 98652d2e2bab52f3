"""Attention map: who looks at whom, every head, one of them large."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.figures.figure import Figure, check_finite, check_rank, check_tokens, fill
from glm_edu.figures.grid import grid, token_heads, token_row
from glm_edu.figures.markup import esc, token_label
from glm_edu.figures.palette import FAMILIES, WORDS

LEVELS = 6  # shades of a thumbnail: it shows the pattern, the large map shows the numbers


def attention_map(
    probs: Float[Tensor, "n q k"],
    tokens: Sequence[str],
    *,
    head: int = 0,
    title: str = "",
    caption: str = "",
    key_tokens: Sequence[str] | None = None,
    family: str = "v1",
    heads: Sequence[str] | None = None,
) -> Figure:
    """Rows ask, columns answer, darker is more; a dot marks the strongest link of each row.

    The data holds every head, in thousandths. The shade grows with the square root of the weight, so that small
    weights stay visible. ``key_tokens`` names the columns where they are not the rows (a cached step, a prefix), and
    ``heads`` the heads where they are not all heads of one block.
    Alt text names the strongest link of each row. Raises InputError if the tokens or the head do not fit.
    """
    check_rank("probs", probs, "n q k", "Of a recorded [b n q k] tensor, draw one example: probs[0].")
    rows = [token_label(token) for token in tokens]
    columns = rows if key_tokens is None else [token_label(token) for token in key_tokens]
    check_tokens("tokens", rows, probs.shape[1], "query")
    check_tokens("tokens" if key_tokens is None else "key_tokens", columns, probs.shape[2], "key")
    check_finite("probs", probs)
    if not 0 <= head < probs.shape[0] or family not in FAMILIES:
        raise InputError(
            f"head {head} of {probs.shape[0]}, family {family!r}: give a head in range and one of {list(FAMILIES)}."
        )
    thousandths = (probs.detach().double() * 1000).round().int().tolist()
    data = {"head": head, "rows": rows, "columns": columns, "thousandths": thousandths, "family": family}
    names, alt_text, shown = [fill("attention_map", "head", h=i) for i in range(len(thousandths))], "alt", str(head)
    if heads is not None:
        check_tokens("heads", heads, probs.shape[0], "head")
        data, names, alt_text, shown = data | {"heads": [*heads]}, [*heads], "alt_named", heads[head]
    picture = thumbnails(thousandths, head, names) + heat(thousandths[head], rows, columns) + scale()
    alt = fill("attention_map", alt_text, h=shown, n=len(thousandths), links=links(thousandths[head], rows, columns))
    return Figure("attention_map", data, alt, f'<div class="glm-{family}">{picture}</div>', caption, title)


def shade(thousandth: int) -> int:
    """The shade of a weight in percent: 100 * sqrt(p). A weight of 0.01 is a tenth of full ink."""
    return round((max(thousandth, 0) * 10) ** 0.5)


def strongest(row: list[int]) -> int:
    """The column of the largest weight, the first of them on a tie."""
    return row.index(max(row))


def heat(values: list[list[int]], rows: list[str], columns: list[str]) -> str:
    """The large map of one head: a shade a weight, a dot on the strongest of each row."""
    body = "".join(token_row(row, _cells(line)) for row, line in zip(rows, values, strict=True))
    return grid("glm-heat", len(columns), rows, token_heads(columns), body)


def _cells(line: list[int]) -> str:
    top = strongest(line)
    return "".join(f'<td style="--p:{shade(p)}"{" class=top" if k == top else ""}></td>' for k, p in enumerate(line))


def thumbnails(heads: list[list[list[int]]], chosen: int, names: Sequence[str]) -> str:
    """A small picture of each head with its name, all of them, so that you can see which one to open."""
    thumbs = []
    for index, (values, name) in enumerate(zip(heads, names, strict=True)):
        here = " class=now" if index == chosen else ""
        thumbs.append(f"<span{here}>{_thumbnail(values)}<small>{esc(name)}</small></span>")
    return f'<div class="glm-heads">{"".join(thumbs)}</div>'


def _thumbnail(values: list[list[int]]) -> str:
    """An SVG with one path for each shade; neighbours of equal shade in a row are one rectangle."""
    paths: dict[int, list[str]] = {}
    for q, line in enumerate(values):
        levels = [-(-shade(p) * LEVELS // 100) if p else 0 for p in line]
        start = 0
        for k in range(1, len(levels) + 1):
            if k == len(levels) or levels[k] != levels[start]:
                paths.setdefault(levels[start], []).append(f"M{start} {q}h{k - start}v1h{start - k}z")
                start = k
    drawn = "".join(f'<path class="l{level}" d="{"".join(paths[level])}"/>' for level in sorted(paths) if level)
    return f'<svg viewBox="0 0 {len(values[0])} {len(values)}" aria-hidden="true">{drawn}</svg>'


def scale() -> str:
    """The legend: a few weights and their shades."""
    steps = "".join(f'<i style="--p:{shade(p)}"></i>{p / 1000:g} ' for p in (10, 100, 300, 1000))
    return f'<p class="glm-scale">{esc(WORDS["attention_map"]["scale"])} {steps}</p>'


def links(values: list[list[int]], rows: list[str], columns: list[str]) -> str:
    """The strongest link of each row, in words."""
    tops = [(row, columns[strongest(line)], max(line) / 1000) for row, line in zip(rows, values, strict=True)]
    return ", ".join(fill("attention_map", "cell", q=q, k=k, p=f"{p:.2f}") for q, k, p in tops)
