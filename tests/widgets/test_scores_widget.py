"""The score widget without a browser: each control changes what is computed, and what is shown follows."""

import torch

from glm_edu.figures import attention_stages
from glm_edu.widgets import explore_scores

QUERY, KEY, VALUE = torch.tensor([1.0, 2, 2, 4]), torch.eye(4)[:3] + 1, torch.ones(3, 4)
VISIBLE = torch.tensor([True, True, False])


def shown(box):
    return next(iter(box.figure.data["tables"].values()))["text"]


def test_the_controls_reach_the_package():
    box = explore_scores(QUERY, KEY, VALUE, VISIBLE, list("abc"))
    box.controls["times"].value = 256
    assert shown(box)[0][0] == "∞"  # 10 / 2 * 256 * 256 is too much for float16
    box.controls["layer"].value = 8
    expected = attention_stages(256 * QUERY, 256 * KEY, VALUE, VISIBLE, dtype=torch.float16, layer=8)
    assert shown(box)[3] == [f"{weight:.2f}" for weight in expected["softmax"].tolist()]
    box.controls["dtype"].value = "float32"
    assert list(box.figure.data["tables"]) == ["float32"]
    assert box.picture.value == box.figure.html
