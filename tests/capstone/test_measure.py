"""What the capstone measures is stored and read back as it was, and a model that was not measured has no figures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glm_edu import Transformer, load_tokenizer
from glm_edu.capstone import BEGINNINGS, QUESTIONS, make_stand_in, measure, read_answer, store, stored, stored_lens
from glm_edu.capstone.__main__ import main
from glm_edu.lens import lens


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_stand_in("chatglm3-6b", tmp_path_factory.mktemp("made") / "chatglm3-6b")


@pytest.mark.usefixtures("unchecked")  # 150 steps; their shapes are checked elsewhere
def test_a_measurement_is_stored_and_read_back(small: Path, tmp_path: Path) -> None:
    results = measure(str(small))
    assert store(results, tmp_path).name == "chatglm3-6b.json"
    kept = stored("chatglm3-6b", tmp_path)
    assert kept is not None and kept["answers"] == results["answers"] and [*kept["answers"]] == [*QUESTIONS]
    assert all(took > 0 for took in kept["seconds"].values()) and kept["peak_bytes"] > 10**7
    assert kept["machine"]["device"] == "cpu" and kept["dtype"] == "float32" and kept["quantize"] is None
    model, tok = Transformer.from_pretrained(small), load_tokenizer(small)
    for language, reading in stored_lens(kept).items():
        fresh = read_answer(model, tok, BEGINNINGS[language])
        assert fresh.columns == [*reading.columns] and fresh.rows == [*reading.rows]
        assert reading.cells == [[[(t, round(p, 3)) for t, p in cell] for cell in row] for row in fresh.cells]
    for head in kept["heads"]["found"]:
        rows = torch.tensor(head["thousandths"]).sum(-1)
        assert len(rows) == len(kept["heads"]["tokens"]) and (rows - 1000).abs().max() <= len(rows)


def test_the_lens_of_the_last_row_is_what_the_model_writes(small: Path) -> None:
    """The last depth is the logits themselves, so its likeliest tokens are the columns to their right."""
    model, tok = Transformer.from_pretrained(small), load_tokenizer(small)
    reading = read_answer(model, tok, "白日依山尽，", new=4, columns=6, rows=3)
    assert [cell[0][0] for cell in reading.cells[-1]][1:-1] == [*reading.columns][2:]
    whole = lens(model, torch.tensor([tok.encode("白日依山尽，")]))[:, 0, -1].softmax(-1).amax(-1)  # l
    alone = read_answer(model, tok, "白日依山尽，", new=0, columns=1, rows=9)
    assert [row[0][0][1] for row in alone.cells] == pytest.approx(whole.tolist(), abs=1e-5)
    assert [*alone.rows] == ["embedding", "block 0", "block 1", "block 2", "block 3"]


def test_a_model_that_nobody_ran_has_no_figures(tmp_path: Path) -> None:
    assert stored("chatglm-6b", tmp_path) is None


def test_the_stored_answers_are_what_the_chapter_says_of_them() -> None:
    kept = stored("smollm2-135m")
    assert kept is not None and "Paris" in kept["answers"]["English"]
    assert kept["answers"]["Chinese"].startswith(QUESTIONS["Chinese"])  # it repeats the question


def test_the_command_says_what_is_wrong_and_leaves(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "There is no directory" in capsys.readouterr().err
