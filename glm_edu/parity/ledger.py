"""The parity ledger: every official tensor beside ours, in each way that the network can be run, and the worst of each.

A line of the ledger is one tensor of one case. It holds the comparison that used up most of its tolerance, over all
runs of the case (prompt, cached steps, padded batch) and over three ways: as the official call was made; with nothing
but ids on cached steps, so that positions and masks continue by themselves; and through PyTorch's fused attention.
Behind the cases stand the components: pieces of the official code that were run alone, some of them in 16 bits.

    python -m glm_edu.parity          prints it, and exits with 1 when a tensor differs or a planted mistake goes unseen
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby

from glm_edu.parity.case import Case, case_names
from glm_edu.parity.component import Component
from glm_edu.parity.ladder import Rung
from glm_edu.parity.mistakes import MISTAKES, Mistake
from glm_edu.parity.proof import prove

COMPONENTS = "components"
FAMILIES = {
    "chatglm1": "ChatGLM-6B", "chatglm2": "ChatGLM2-6B, ChatGLM3-6B", "glm4": "GLM-4", "llama": "LLaMA",
    COMPONENTS: "Pieces run alone",
}  # fmt: skip
WAYS: tuple[dict[str, bool], ...] = ({}, {"alone": True}, {"eager": False})  # keyword arguments of prove()


@dataclass(frozen=True)
class Line:
    """One tensor of one case, over ``compared`` comparisons.

    ``max_difference`` is the largest |ours - official| of the worst of them. The tolerance is
    ``tolerance`` + ``relative`` * |official|; ``used`` is the part of it that is taken up, 1 = all.
    """

    family: str
    case: str
    tensor: str
    max_difference: float
    tolerance: float
    relative: float
    used: float
    compared: int
    ok: bool
    revision: str

    @property
    def allowed(self) -> str:
        """The tolerance in words."""
        relative = f" + {self.relative:.0e} |x|" if self.relative else ""
        return f"{self.tolerance:.0e}{relative}" if self.tolerance else "exact"


class Ledger(tuple[Line, ...]):
    """The lines in the order of cases and of the forward pass; shows itself as a table in a notebook."""

    @property
    def ok(self) -> bool:
        """Every tensor within its tolerance."""
        return all(line.ok for line in self)

    @property
    def compared(self) -> int:
        """Comparisons in all lines together."""
        return sum(line.compared for line in self)

    @property
    def worst(self) -> Line:
        """The line that uses up most of its tolerance."""
        return max(self, key=lambda line: line.used)

    def cases(self) -> dict[str, Ledger]:
        """The lines of each case."""
        return {name: Ledger(lines) for name, lines in groupby(self, lambda line: line.case)}

    def families(self) -> dict[str, Ledger]:
        """The lines of each family."""
        return {name: Ledger(lines) for name, lines in groupby(self, lambda line: line.family)}

    def _repr_html_(self) -> str:
        return _page(self)


def ledger() -> Ledger:
    """Compare everything: case, tensor, largest difference, tolerance, revision. Takes a few seconds."""
    return Ledger(line for name in names() for line in lines_of(name))


def names() -> list[str]:
    """What there is to compare: every case, then the components."""
    return [*case_names(), COMPONENTS]


def lines_of(name: str) -> Ledger:
    """The lines of one case in forward order, or those of all components, one component after the other."""
    rungs: dict[tuple[str, str], list[Rung]] = {}
    for way in WAYS[:1] if name == COMPONENTS else WAYS:
        for rung in prove(name, **way).rungs:
            rungs.setdefault((rung.case, rung.tensor), []).append(rung)
    return Ledger(sorted(map(_line, rungs.values()), key=lambda line: line.case))


def about(case: str) -> tuple[str, str]:
    """What a case or a component ("components/chatglm1_gelu") shows, and the revision of the code that made it."""
    if not case.startswith(COMPONENTS):
        return Case(case).facts["shows"], Case(case).revision
    facts = Component(case.split("/")[1]).facts
    sources = facts["source"] if isinstance(facts["source"], list) else [facts["source"]]
    repos = [source["repo"].split(", ")[-1].split(" (")[0] for source in sources]
    return facts["shows"], "; ".join(f"{repo} @ {s['revision']}" for repo, s in zip(repos, sources, strict=True))


def caught() -> Iterator[tuple[Mistake, str | None]]:
    """Plant each mistake in turn; beside it the first tensor that differs, or None: nothing noticed."""
    for mistake in MISTAKES:
        with mistake.applied():
            yield mistake, prove(mistake.case, alone=mistake.alone).first_divergent


def _line(rungs: list[Rung]) -> Line:
    worst = max(rungs, key=lambda rung: rung.used)
    family = FAMILIES[worst.case.split("/")[0].split("_")[0]]
    return Line(
        family, worst.case, worst.tensor, worst.max_abs, worst.atol, worst.rtol,
        worst.used, len(rungs), all(rung.ok for rung in rungs), about(worst.case)[1],
    )  # fmt: skip


# The table in a notebook. Differences are shown to one digit: the last bits differ from one CPU to another.

STYLE = """<style>
.glm-ledger{overflow-x:auto;margin:1rem 0}
.glm-ledger:focus-visible{outline:2px solid}
.glm-ledger.glm-ledger table{border-collapse:collapse;margin:0;font:12px/1.5 var(--sans,sans-serif)}
.glm-ledger.glm-ledger caption{caption-side:top;padding:0 0 .5rem;text-align:left;color:inherit}
.glm-ledger.glm-ledger tr{background:none!important}
.glm-ledger.glm-ledger :is(th,td){padding:.3rem .55rem .3rem 0;border:0;border-bottom:1px solid var(--line,#8884)}
.glm-ledger.glm-ledger :is(th,td){text-align:left;vertical-align:top;white-space:nowrap;color:inherit;background:none}
.glm-ledger.glm-ledger .group{padding-top:1.1rem;white-space:normal}
.glm-ledger.glm-ledger small{font-size:1em;font-weight:400;color:var(--soft,inherit)}
.glm-ledger.glm-ledger b{color:var(--right,inherit)}
.glm-ledger.glm-ledger b.no{color:var(--wrong,#d33)}
@media(max-width:640px){.glm-ledger.glm-ledger tbody th{white-space:normal}}
.glm-ledger.glm-ledger code{padding:0;border:0;background:none;color:inherit;font:.94em var(--mono,monospace)}
</style>"""
HEADS = ("verdict", "case", "tensor", "difference", "tolerance", "used", "compared")


def _page(lines: Ledger) -> str:
    """The worst tensor of each case in one table; below it, folded, all tensors of each case."""
    groups = ""
    for (family, revision), group in groupby(lines, lambda line: (line.family, line.revision)):
        head = f"{escape(family)} <small>{escape(revision)}</small>"
        rows = "".join(_row(same, case) for case, same in Ledger(group).cases().items())
        groups += f'<tbody><tr><th class="group" colspan="{len(HEADS)}" scope="rowgroup">{head}</th></tr>{rows}</tbody>'
    details = "".join(_details(case, same) for case, same in lines.cases().items())
    return STYLE + _table("Each case with the tensor that uses up most of its tolerance", HEADS, groups) + details


def _details(case: str, lines: Ledger) -> str:
    heads = tuple(head for head in HEADS if head != "case")
    table = _table(f"{case}: every tensor", heads, f"<tbody>{''.join(_row(Ledger([line])) for line in lines)}</tbody>")
    return f"<details><summary>{escape(case)}: {escape(about(case)[0])}</summary>{table}</details>"


def _row(lines: Ledger, *case: str) -> str:
    """The worst of the lines. The case, or else the tensor, is the row's heading."""
    worst = lines.worst
    heading, *names = (f"<code>{escape(name)}</code>" for name in (*case, worst.tensor))
    verdict = "<b>equal</b>" if lines.ok else '<b class="no">differs</b>'
    difference = f"{worst.max_difference:.0e}" if worst.max_difference else "0"
    cells = (*names, difference, worst.allowed, f"{worst.used:.0%}", lines.compared)
    return f'<tr><td>{verdict}</td><th scope="row">{heading}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _table(caption: str, heads: tuple[str, ...], bodies: str) -> str:
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<div class="glm-ledger" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead>{bodies}</table></div>"
    )
