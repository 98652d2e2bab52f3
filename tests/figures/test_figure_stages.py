"""The stages of attention: what is drawn is what the package computes, in each dtype, and nothing infinite is hidden.

Mutations: the factor not taken off the product, a stage in another order, the mask dropped, or NaN drawn as 0: tests
here fail.
"""

import pytest
import torch
from gallery import HOSTILE, Markup

from glm_edu.errors import GLMError
from glm_edu.figures import attention_stages, score_stages
from glm_edu.parity import mistake

TOKENS = ["山", "月", "水", "sop"]
VISIBLE = torch.tensor([True, True, False, True])
QUERY = torch.tensor([1.0, -1, 2, 0.5])
KEY = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 2, 0], [0, 0, 0, 1]])
VALUE = torch.tensor([[3.0, 4, 0, 0], [0, 1, 0, 0], [9, 9, 9, 9], [0, 0, 0, 2]])
ROWS = ["q·k/c√d", "masked", "× c", "softmax", "× value"]


def stages(times=1, **options):
    return attention_stages(times * QUERY, times * KEY, VALUE, VISIBLE, **options)


def test_each_stage_is_the_one_before_it_and_one_step():
    product, hidden, undone, weights, share = stages(layer=4).values()
    assert torch.allclose(product, KEY @ QUERY / (2 * 4))
    assert torch.equal(hidden, torch.where(VISIBLE, product, -10000.0))
    assert torch.equal(undone, 4 * hidden)
    assert torch.allclose(weights, torch.where(VISIBLE, KEY @ QUERY / 2, -torch.inf).softmax(-1))
    assert torch.allclose(share, weights * VALUE.norm(dim=-1))
    assert [*stages()] == ROWS


def test_float16_overflows_without_the_layer_factor_and_not_with_it():
    plain, scaled = (stages(256, dtype=torch.float16, layer=c) for c in (1, 4))
    assert plain[ROWS[0]].isinf().any()
    assert plain["softmax"].isnan().all()
    assert scaled["softmax"].tolist() == stages(256)["softmax"].tolist() == [1, 0, 0, 0]


def test_a_planted_mistake_shows_in_the_stages():
    with mistake("layer factor not undone"):
        wrong = stages(layer=4)
    assert not torch.allclose(wrong["softmax"], stages(layer=4)["softmax"])


def figure(**ways):
    return score_stages(ways or {"one": stages()}, TOKENS, VISIBLE, chosen="one", legend="way")


def test_cells_hold_rounded_numbers_and_shades_of_their_row():
    table = figure().data["tables"]["one"]
    assert (table["rows"], table["columns"]) == (ROWS, TOKENS)
    assert table["text"][0] == ["1.50", "−0.50", "3.00", "0.25"]
    assert table["text"][1] == ["1.50", "−0.50", "−10k", "0.25"]
    assert table["weight"][0] == [1, -0.33, 1, 0.17]  # the hidden one is larger than any visible one
    assert table["weight"][1] == [1, -0.33, -1, 0.17]
    assert table["text"][3][2] == "0.00"
    half = figure(one=stages(dtype=torch.bfloat16)).data["tables"]["one"]["text"]
    assert half[1][2] == "−9984"  # what bfloat16 makes of -10000, in no more letters than a column has
    assert "softmax: 0.70, 0.10, 0.00, 0.20" in figure().alt


def test_what_is_no_number_stands_out():
    table = figure(one=stages(256, dtype=torch.float16), two=stages()).data["tables"]["one"]
    assert table["text"][0] == ["∞", "−33k", "∞", "16k"]
    assert table["weight"][0] == [1, -1, 1, 0.5]
    assert table["text"][3] == ["NaN"] * 4
    assert table["weight"][3] == [-1] * 4


def test_markup_stays_text_and_what_does_not_fit_is_refused():
    row = {"<b>": torch.zeros(len(HOSTILE))}
    page = Markup(score_stages({"one": row}, HOSTILE, torch.ones(len(HOSTILE), dtype=torch.bool)).html)
    assert [script.get("type") for script in page.all("script")] == ["application/json"]
    assert not page.all("b")
    with pytest.raises(GLMError, match="tokens has 3 entries"):
        score_stages({"one": stages()}, TOKENS[:3], VISIBLE)
    with pytest.raises(GLMError, match="no stages"):
        score_stages({"one": {}}, TOKENS, VISIBLE)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wrong", [{"key": KEY[:, :3]}, {"value": VALUE[:3]}, {"visible": VISIBLE[:2]}, {"layer": 0}])
def test_what_cannot_be_sent_through_attention_is_refused(wrong):
    with pytest.raises(GLMError, match="layers counted from 1"):
        attention_stages(**{"query": QUERY, "key": KEY, "value": VALUE, "visible": VISIBLE} | wrong)
