"""What a notebook stores is a page: no warning, no traceback, no path of the machine that ran it."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "book").rglob("*.ipynb"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stored_outputs_are_fit_to_print(name: str) -> None:
    cells = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert outputs, "the notebook was never run"
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert "site-packages" not in json.dumps(outputs)
    assert "/glm_edu/" not in json.dumps(outputs)
