"""The notebook runner: the same bytes every time, no live output, and a clear word when a cell fails."""

import sys
from pathlib import Path

import nbformat
import pytest
from visits import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import run_notebooks

CELLS = [
    ("print(6 * 7)", []),
    ("import sys; print('a', file=sys.stdout); print('b')", []),
    ("print('a slider')", ["live-kernel"]),
]


def write(path: Path, cells: list[tuple[str, list[str]]]) -> Path:
    made = [nbformat.v4.new_code_cell(source, metadata={"tags": tags}) for source, tags in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write(tmp_path_factory.mktemp("notebooks") / "good.ipynb", CELLS)
    assert run_notebooks.main([str(path)]) == 0
    return path


def test_outputs_are_stored(stored: Path) -> None:
    first, second, _ = nbformat.read(stored, as_version=4).cells
    assert [output.text for output in first.outputs + second.outputs] == ["42\n", "a\nb\n"]


def test_a_live_cell_stores_no_output_and_nbval_compares_none(stored: Path) -> None:
    live = nbformat.read(stored, as_version=4).cells[2]
    assert live.outputs == []
    assert live.metadata.tags == ["live-kernel", "nbval-ignore-output"]


def test_nothing_differs_from_run_to_run(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = stored.read_bytes()
    assert run_notebooks.main(["--check", str(stored)]) == 0
    assert run_notebooks.main([str(stored)]) == 0
    assert stored.read_bytes() == before
    assert capsys.readouterr().out.count("unchanged") == 2


def test_no_random_id_and_no_version_is_stored(stored: Path) -> None:
    notebook = nbformat.read(stored, as_version=4)
    assert [cell.id for cell in notebook.cells] == ["cell-0", "cell-1", "cell-2"]
    assert notebook.metadata.language_info == {"name": "python"}


def test_ids_that_an_author_chose_are_kept() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="the-rule")])
    assert run_notebooks.settled(notebook).cells[0].id == "the-rule"


def test_check_fails_on_a_stale_output_and_writes_nothing(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "stale.ipynb"
    stale.write_text(stored.read_text(encoding="utf-8").replace("42", "41"), encoding="utf-8")
    before = stale.read_bytes()
    assert run_notebooks.main(["--check", str(stale)]) == 1
    assert stale.read_bytes() == before
    assert "DIFFERS" in capsys.readouterr().out


def test_a_failing_cell_is_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "bad.ipynb", [("print(1)", []), ("1 / 0", [])])
    before = path.read_bytes()
    assert run_notebooks.main([str(path)]) == 1
    said = capsys.readouterr().out
    assert "bad.ipynb" in said and "FAILED, nothing written" in said and "1 / 0" in said and "ZeroDivisionError" in said
    assert path.read_bytes() == before


def test_a_missing_notebook_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_notebooks.main(["no-such.ipynb"])
    assert "no such notebook" in capsys.readouterr().err
