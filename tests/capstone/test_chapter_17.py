"""Chapter 17 takes a directory of each generation: the cells that touch the model run on it, and say what they should.

The notebook itself is run without a model of the reader's; here ``GLM_EDU_MODEL`` names one. Mutations: with another
tokenizer's ids, a head searched along the wrong axis, or letters of another axis, tests here fail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
import torch
from notebook_cells import BOOK, run_cells

from glm_edu import ModelConfig
from glm_edu.capstone import STAND_INS, Head, make_stand_in, shape_of
from glm_edu.figures import Figure

OF_THE_MODEL = (
    "map", "setup", "place", "chat-code", "chat-gloss", "shapes-code", "shapes-table", "heads-figure", "lens-figure",
    "three-code", "three-figure", "three-table", "explore",
)  # fmt: skip


@pytest.fixture(autouse=True)
def as_found() -> object:
    """The chapter turns gradients off for all that follows in its process, and matplotlib's look may stay."""
    before = torch.is_grad_enabled()
    with matplotlib.rc_context():
        yield
    torch.set_grad_enabled(before)


@pytest.mark.parametrize("kind", STAND_INS)
def test_the_chapter_runs_on_each_generation(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM_EDU_MODEL", str(make_stand_in(kind, tmp_path / "mine")))
    names, shown = run_cells("chapters/17_capstone.ipynb", OF_THE_MODEL)
    assert names["kinds"][kind] == str(tmp_path / "mine") and names["named"]
    assert "".join(names["heard"])
    assert isinstance(shown["heads-figure"], Figure) and isinstance(shown["lens-figure"], Figure)
    assert [*names["readings"]] == ["here, English", "here, Chinese", "SmolLM2, English", "SmolLM2, Chinese"]
    config, tokens = names["model"].config, names["ids"].shape[1]
    assert all(row.shape == shape_of(row.letters, config, tokens) for row in names["seen"].table())
    does = {head.does: head for head in names["found"]}
    assert ("tokens ahead" in does) == (kind == "chatglm-6b")
    _assert_it_looks_there(names, does["the token before"], lambda query: query - 1)
    _assert_it_looks_there(names, does["the first token"], lambda query: 0)
    rows = {name: [cell.text for cell in table.cells[-1]] for name, table in names["tables"].items()}
    ahead = {"chatglm-6b": ["4"] * 4 + ["5"]}  # all of the context sees the context; sop sees itself, too
    assert {name: line == ahead.get(name, [str(i + 1) for i in range(len(line))]) for name, line in rows.items()} == \
        dict.fromkeys(STAND_INS, True)  # fmt: skip


def _assert_it_looks_there(names: dict, head: Head, where: Callable[[int], int]) -> None:
    """Its share is the largest of all heads, by a plain loop over the recorded maps."""
    shares = {}
    for block in range(names["model"].config.num_layers):
        for number, probs in enumerate(names["seen"][f"blocks.{block}.attention.probs"][0].tolist()):
            weights = [probs[query][where(query)] for query in range(1, len(probs))]
            shares[block, number] = sum(weights) / len(weights)
    assert max(shares, key=shares.__getitem__) == (head.block, head.head)
    assert abs(shares[head.block, head.head] - head.share) < 1e-5


def test_the_numbers_of_the_exercise_are_those_of_the_published_config() -> None:
    text, config = (BOOK / "chapters" / "17_capstone.ipynb").read_text(), ModelConfig.preset("chatglm2-6b")
    assert f"ChatGLM2-6B has {config.parameter_count / 1e9:.2f} thousand million parameters" in text
    assert f"a row of {config.hidden_size:,} numbers for each of {config.vocab_size:,} tokens" in text
