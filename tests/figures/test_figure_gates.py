"""How far a unit is open, and the strip that shows it.

Mutations: up for gate, a slope for a quotient, or rows for columns, and tests here fail.
"""

import pytest
import torch

from glm_edu import ModelConfig, Transformer
from glm_edu.errors import GLMError
from glm_edu.figures.gates import gate_strip, openings
from glm_edu.widgets.units import explore_units


def feedforward(preset):
    torch.manual_seed(3)
    model = Transformer(ModelConfig.preset(preset))
    with torch.no_grad():
        for weight in model.blocks[0].feedforward.parameters():
            weight.normal_(std=0.5)
    return model.blocks[0].feedforward


def test_a_gelu_unit_is_open_by_the_chance_of_a_smaller_normal_number():
    module, x = feedforward("tiny-chatglm"), torch.randn(3, 64)
    wanted = torch.distributions.Normal(0, 1).cdf(module.up(x))
    assert (openings(module, x) - wanted).abs().max() < 1e-3  # tanh for erf, as a part of x
    assert openings(module, x).min() < 0.1 and openings(module, x).max() > 0.9


def test_a_gated_unit_is_open_by_the_sigmoid_of_its_gate_and_up_has_no_say():
    module, x = feedforward("tiny-chatglm2"), torch.randn(3, 64)
    opened = openings(module, x)
    torch.testing.assert_close(opened, module.gate(x).sigmoid(), atol=1e-3, rtol=0)
    hidden = module.gate(x) * opened * module.up(x)
    torch.testing.assert_close(module.down(hidden), module(x[None])[0], atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        module.up.weight.zero_()
    torch.testing.assert_close(openings(module, x), opened)


@pytest.mark.parametrize("preset", ["tiny-chatglm", "tiny-chatglm2"])
def test_at_zero_every_gate_is_half_open(preset):
    module = feedforward(preset)
    if module.up.bias is not None:
        torch.nn.init.zeros_(module.up.bias)
    assert torch.equal(openings(module, torch.zeros(1, 64)), torch.full((1, module.down.in_features), 0.5))


def test_a_row_is_a_unit_and_a_column_a_token():
    opened = torch.tensor([[0.0, 0.5, 1.0], [0.25, 0.1, 0.9]])  # s f
    figure = gate_strip(opened, [2, 0], ["山", "水"])
    table = figure.data["tables"][""]
    assert (table["rows"], table["columns"]) == (["unit 2", "unit 0"], ["山", "水"])
    assert table["text"] == [["100", "90"], ["0", "25"]]
    assert "unit 2, at 山: 100 % open" in figure.picture


@pytest.mark.parametrize("units", [[], [3], [-1]])
def test_units_that_are_not_there_are_refused(units):
    with pytest.raises(GLMError, match="at least one of 0 to 2"):
        gate_strip(torch.rand(2, 3), units, ["山", "水"])


def test_the_widget_shows_what_stands_out_for_the_chosen_token():
    torch.manual_seed(0)
    model, ids = Transformer(ModelConfig.preset("tiny-chatglm2")).eval(), torch.tensor([[7, 8, 9]])
    box = explore_units(model, ids, list("abc"))
    with torch.no_grad():
        model.blocks[2].feedforward.gate.weight.normal_(std=2.0)  # it must run again
    box.controls["block"].value = 2
    box.controls["token"].value = 1
    table = next(iter(box.figure.data["tables"].values()))
    text = torch.tensor([[int(cell) for cell in row] for row in table["text"]])
    assert (text[:, 1] > text.float().mean(1)).all() and text.shape == (8, 3)
    assert box.picture.value == box.figure.html


@pytest.mark.parametrize(("tokens", "token"), [("ab", 0), ("abc", 3), ("abc", -1)])
def test_the_widget_wants_a_name_for_each_id_and_a_token_that_is_there(tokens, token):
    model = Transformer(ModelConfig.preset("tiny-chatglm2"))
    with pytest.raises(GLMError, match="one name for each id"):
        explore_units(model, torch.tensor([[7, 8, 9]]), list(tokens), token=token)
