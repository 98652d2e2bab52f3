"""The proof row: what was compared, the figure that came out, and the verdict in a word."""

from collections.abc import Sequence
from dataclasses import dataclass

from glm_edu.errors import InputError
from glm_edu.figures.markup import esc, plain, rich
from glm_edu.page.element import Element, style


@dataclass(frozen=True)
class ProofRow:
    """One comparison. ``what`` may hold `code`; ``verdict`` replaces the word, as in "caught" for a planted mistake.

    ``ok`` is None where there is nothing to compare yet; such a row has no colour of right or wrong.
    """

    ok: bool | None
    what: str
    figure: str
    verdict: str = ""

    @property
    def word(self) -> str:
        """The verdict in a word: never colour alone."""
        return self.verdict or {True: "equal", False: "differs", None: "open"}[self.ok]


def proof(rows: Sequence[ProofRow]) -> Element:
    """The rows as a list: verdict, what was compared, figure. Raises InputError for no rows: nothing proves nothing."""
    if not rows:
        raise InputError("proof() has no rows; a proof row needs at least one comparison.")
    items = "".join(_item(row) for row in rows)
    summary = "; ".join(f"{row.word}, {plain(row.what)}, {row.figure}" for row in rows)
    sections = ["glm-proof", *["glm-open"] * any(row.ok is None for row in rows)]
    html = f'<div class="glm-proof">{style(*sections)}<ul class="glm-rows">{items}</ul></div>'
    return Element("glm-proof", summary, html)


def target_proof(targets: Sequence[tuple[bool, str, str]]) -> Element:
    """Targets that were set before a training: whether each is met, what it is, and the figure."""
    return proof([ProofRow(met, what, figure, "met" if met else "not met") for met, what, figure in targets])


def _item(row: ProofRow) -> str:
    mark = {True: "ok", False: "no", None: "open"}[row.ok]
    return f'<li><b class="{mark}">{esc(row.word)}</b><span>{rich(row.what)}</span><code>{esc(row.figure)}</code></li>'
