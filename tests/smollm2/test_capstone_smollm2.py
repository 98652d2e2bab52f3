"""Chapter 17 with SmolLM2: the same cells, a model that nobody here trained, and the stored results are its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from notebook_cells import run_cells

from glm_edu.capstone import stored, stored_lens


@pytest.mark.usefixtures("unchecked")  # shapes were checked on the small directories
def test_the_chapter_runs_on_smollm2_and_shows_what_is_stored(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("GLM_EDU_MODEL", str(smollm2))
    before = torch.is_grad_enabled()
    cells = ("map", "setup", "place", "chat-code", "chat-gloss", "shapes-code", "heads-figure", "lens-figure")
    names, _ = run_cells("chapters/17_capstone.ipynb", cells)
    torch.set_grad_enabled(before)
    kept = stored("smollm2-135m")
    assert kept is not None
    assert "".join(names["heard"]) == kept["answers"]["English"] == "The capital of France is Paris."
    for language, reading in stored_lens(kept).items():
        fresh = names["readings"][f"here, {language}"]
        assert [*fresh.rows] == [*reading.rows] and [*fresh.columns] == [*reading.columns]
        for ours, theirs in zip(fresh.cells, reading.cells, strict=True):
            for (token, p), (name, q) in zip((c[0] for c in ours), (c[0] for c in theirs), strict=True):
                assert abs(p - q) < 0.002 and (token == name or p < 0.3), (token, name, p, q)
    assert " Paris" in [cell[0][0] for cell in stored_lens(kept)["English"].cells[-1]]
