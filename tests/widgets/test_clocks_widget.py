"""The clocks with a kernel: the slider moves the answer, and the model writes for that place."""

import pytest

from glm_edu.errors import GLMError
from glm_edu.widgets import explore_clocks


def test_the_answer_follows_the_slider():
    box = explore_clocks("白日依山[MASK]，更上一层[MASK]。")
    answer = box.figure.data["sop"]
    seen = set()
    for place in (4, 10):
        box.controls["place"].value = place
        clocks, tokens = box.figure.data["positions"], box.figure.data["tokens"]
        assert set(clocks[0][answer:]) == {place} and clocks[1][answer:] == list(range(1, len(tokens) - answer + 1))
        assert f"Tang GLM writes {''.join(tokens[answer + 1 :])} (" in box.figure.caption
        seen.add(box.figure.caption)
    assert len(seen) == 2


def test_a_text_without_a_blank_is_refused():
    with pytest.raises(GLMError, match=r"holds no \[MASK\]"):
        explore_clocks("白日依山尽。")
