"""The ledger and its command: rows for every case, worst first, escaped, and an exit code that can be trusted."""

import dataclasses
import html.parser
import itertools

import pytest

from glm_edu.errors import CheckpointNotFoundError
from glm_edu.parity import MISTAKES, case_names, mistake
from glm_edu.parity import __main__ as command
from glm_edu.parity import case as case_module
from glm_edu.parity.components import PIECES
from glm_edu.parity.ledger import FAMILIES, Ledger, Line, caught, ledger, lines_of


@pytest.fixture(scope="module")
def whole() -> Ledger:
    return ledger()


def test_the_ledger_holds_every_case_and_all_is_equal(whole: Ledger) -> None:
    cases, components = list(whole.cases())[: len(case_names())], list(whole.cases())[len(case_names()) :]
    assert cases == case_names()
    assert components == [f"components/{name}" for name in sorted({name for name, _ in PIECES})]
    assert whole.ok
    assert all(line.used <= 1 and line.compared >= 1 and line.revision for line in whole)
    assert list(whole.families()) == list(FAMILIES.values())


def test_a_line_is_the_worst_of_runs_and_ways(whole: Ledger) -> None:
    prefill = {line.tensor: line for line in whole.cases()["chatglm1_gmask"]}
    assert prefill["logits"].compared == 3  # one run, three ways
    assert prefill["blocks.0.attention.probs"].compared == 2  # the fused kernel keeps no maps
    decode = {line.tensor: line for line in whole.cases()["llama_decode"]}
    assert decode["logits"].compared == 18  # six runs, three ways


def test_worst_is_the_line_that_uses_up_most_of_its_tolerance(whole: Ledger) -> None:
    for family, lines in whole.families().items():
        assert lines.worst.used == max(line.used for line in whole if line.family == family)


def test_a_mistake_turns_its_line_and_the_ledger_red() -> None:
    with mistake("no alpha"):
        lines = lines_of("chatglm1_gmask")
    wrong = [line.tensor for line in lines if not line.ok]
    assert wrong[0] == "blocks.0.middle" and "logits" in wrong
    assert not Ledger(lines).ok
    assert '<b class="no">differs</b>' in Ledger(lines)._repr_html_()


def test_mistakes_are_planted_in_turn_and_removed_again() -> None:
    found = list(itertools.islice(caught(), 4))
    assert [mistake.name for mistake, _ in found] == [mistake.name for mistake in MISTAKES[:4]]
    assert all(first == mistake.first_wrong for mistake, first in found)
    assert lines_of("chatglm2_prefill").ok


class Cells(html.parser.HTMLParser):
    """The text of each table row, and the tags that were opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_the_page_shows_each_case_with_its_worst_tensor(whole: Ledger) -> None:
    rows = Cells(whole._repr_html_()).rows
    for name, lines in whole.cases().items():
        worst = lines.worst
        row = next(row for row in rows if len(row) == 7 and row[1] == name)
        assert row[0] == "equal" and row[2] == worst.tensor
        assert float(row[3]) == pytest.approx(worst.max_difference, rel=0.5)  # one significant digit


def test_the_page_escapes_what_it_shows(whole: Ledger) -> None:
    line = dataclasses.replace(whole[0], revision="<script>alert(1)</script>", tensor="<b onclick=x>")
    page = Ledger([line])._repr_html_()
    assert "script" not in Cells(page).tags and "&lt;b onclick=x&gt;" in page


def test_the_command_prints_a_line_a_case_and_exits_with_0(monkeypatch, capsys, whole: Ledger) -> None:
    monkeypatch.setattr(command, "lines_of", lambda name: Ledger(e for e in whole if e.case.split("/")[0] == name))
    monkeypatch.setattr(command, "caught", lambda: [(m, m.first_wrong) for m in command.MISTAKES])
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert sum(line.startswith("equal") for line in out.splitlines()) == len(whole.cases())
    assert f"{len(whole.cases())} of {len(whole.cases())} cases equal in {whole.compared} comparisons" in out


def test_the_command_exits_with_1_when_a_tensor_differs(monkeypatch, capsys) -> None:
    bad = Line("LLaMA", "llama_prefill", "logits", 1.0, 1e-5, 1e-5, 1e5, 1, False, "r")
    monkeypatch.setattr(command, "names", lambda: ["llama_prefill"])
    monkeypatch.setattr(command, "lines_of", lambda name: Ledger([bad]))
    monkeypatch.setattr(command, "caught", lambda: [])
    assert command.main([]) == 1
    assert "DIFFERS  llama_prefill" in capsys.readouterr().out


def test_the_command_exits_with_1_when_a_mistake_goes_unseen(monkeypatch, capsys) -> None:
    good = Line("LLaMA", "llama_prefill", "logits", 0.0, 1e-5, 1e-5, 0.0, 1, True, "r")
    unseen = dataclasses.replace(command.MISTAKES[0], name="a harmless mistake")
    monkeypatch.setattr(command, "names", lambda: ["llama_prefill"])
    monkeypatch.setattr(command, "lines_of", lambda name: Ledger([good]))
    monkeypatch.setattr(command, "caught", lambda: [(unseen, None)])
    assert command.main([]) == 1
    assert "MISSED   a harmless mistake" in capsys.readouterr().out


def test_the_command_says_what_is_missing_without_the_golden_files(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setattr(case_module, "GOLDEN", tmp_path / "nowhere")
    assert command.main([]) == 1
    assert "pip install -e ." in capsys.readouterr().err
    with pytest.raises(CheckpointNotFoundError):
        case_names()
