"""Widgets without a browser: change a value, and the figure and its HTML follow."""

import re

import pytest
import torch

from glm_edu import ModelConfig, Transformer, load_tokenizer, record
from glm_edu.errors import GLMError
from glm_edu.figures import blank_painter, rule_mask, rule_positions
from glm_edu.widgets import explore_attention, explore_blank, explore_mask, explore_residual

TOKENS = [*"白日依山尽，", "[M]", "sop", *"黄河入海流"]


def test_mask_follows_the_slider_and_the_rule():
    box = explore_mask(TOKENS, 7)
    for context in (7, 1, 12, 4):
        box.controls["context"].value = context
        assert box.figure.data["mask"] == rule_mask("prefix", context, 13).int().tolist()
        assert box.figure.data["positions"] == rule_positions(context, 13).tolist()
        assert box.figure.data["tokens"].index("sop") == context
        assert box.picture.value == box.figure.html
    box.controls["rule"].value = "causal"
    assert box.figure.data["mask"] == rule_mask("causal", 4, 13).int().tolist()
    box.controls["rule"].value = "sop_joins_prefix"
    assert box.picture.value.count("class=bad") == 4


def test_the_controls_stand_above_the_picture():
    box = explore_mask(TOKENS, 7)
    assert box.children[1] is box.picture
    assert list(box.children[0].children) == list(box.controls.values())
    assert (box.controls["context"].min, box.controls["context"].max) == (1, 12)


@pytest.mark.parametrize("context", [0, 13])
def test_a_context_without_room_is_refused(context):
    with pytest.raises(GLMError, match="from 1 to 12"):
        explore_mask(TOKENS, context)


def test_a_blank_moves_and_becomes_the_rest():
    box = explore_blank("低头思故乡。", 3, 2)
    assert box.figure.data == blank_painter("低头思故乡。", [(3, 2)]).data
    box.controls["start"].value = 5  # one is left
    assert box.figure.data == blank_painter("低头思故乡。", [(5, 1)]).data
    box.controls["start"].value = 1
    box.controls["kind"].value = "[gMASK]"
    assert box.figure.data == blank_painter("低头思故乡。", [(1, 5)], "[gMASK]").data
    assert box.picture.value == box.figure.html


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (6, 1), (4, 3), (0, 0)])
def test_a_blank_without_room_is_refused(start, length):
    with pytest.raises(GLMError, match="does not fit a text of 6"):
        explore_blank("低头思故乡。", start, length)


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(ModelConfig.preset("tiny-chatglm2")).eval()


def recorded(model: Transformer, ids: torch.Tensor, layer: int) -> list:
    with torch.no_grad(), record(model) as seen:
        model(ids)
    return (seen[f"blocks.{layer}.attention.probs"][0].double() * 1000).round().int().tolist()


def test_attention_walks_layers_and_heads(model):
    ids = torch.tensor([[7, 8, 9, 10, 11]])
    box = explore_attention(model, ids, list("abcde"))
    assert (box.controls["layer"].max, box.controls["head"].max) == (2, 3)
    box.controls["layer"].value = 2
    box.controls["head"].value = 3
    assert box.figure.data["thousandths"] == recorded(model, ids, 2)
    assert box.figure.data["head"] == 3
    assert "Layer 2, head 3" in box.picture.value
    assert 'class="glm-v2"' in box.picture.value  # the family of the model gives the colour


def test_attention_runs_the_model_again_at_each_change(model):
    ids = torch.tensor([[7, 8, 9]])
    box = explore_attention(model, ids, list("abc"))
    with torch.no_grad():
        for parameter in model.blocks[1].attention.parameters():
            parameter.mul_(30)
    box.controls["layer"].value = 1
    assert box.figure.data["thousandths"] == recorded(model, ids, 1)


def test_attention_names_the_columns_of_a_prompt_prefix():
    from dataclasses import replace

    model = Transformer(replace(ModelConfig.preset("tiny-chatglm2"), prefix_length=2)).eval()
    box = explore_attention(model, torch.tensor([[7, 8, 9]]), list("abc"))
    assert box.figure.data["columns"] == ["P0", "P1", "a", "b", "c"]


def test_without_a_model_the_trained_one_reads_a_poem():
    box = explore_attention(layer=1, head=2)
    model = Transformer.from_pretrained("tang-glm")
    ids = torch.tensor([load_tokenizer("tang-glm").encode("明月松间照，清泉石[MASK]流。")])
    assert (box.controls["layer"].value, box.figure.data["head"]) == (1, 2)
    assert box.figure.data["thousandths"] == recorded(model, ids, 1)
    assert box.figure.data["rows"] == [*"明月松间照，清泉石", "[MASK]", *"流。", "<sop>"]


def test_a_model_comes_with_its_ids_and_their_tokens(model):
    with pytest.raises(GLMError, match="or none of the three"):
        explore_attention(model)
    with pytest.raises(GLMError, match="or none of the three"):
        explore_attention(tokens=list("abc"))


def test_residual_norms_follow_alpha():
    box = explore_residual(layers=6, hidden_size=32)
    curves = {}
    for alpha_layers in (28, 2):
        box.controls["alpha_layers"].value = alpha_layers
        scaled, plain = box.figure.data["data"]
        assert scaled["name"] == f"{(2 * alpha_layers) ** 0.5:.2f}·norm(x) + f"
        assert [trace["meta"]["family"] for trace in (scaled, plain)] == ["v1", "v2"]
        assert len(scaled["y"]) == len(plain["y"]) == 7
        curves[alpha_layers] = scaled["y"], plain["y"]
    assert curves[28][0][-1] > 3 * curves[2][0][-1]  # the stream is alpha * norm(x): its length goes with alpha
    assert curves[28][1] == curves[2][1]  # x + f does not know alpha
    assert curves[28][0][0] == curves[28][1][0]  # the same weights, the same start


def test_residual_is_the_same_for_the_same_seed_and_leaves_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, other = explore_residual(layers=2), explore_residual(layers=2)
    assert torch.equal(torch.rand(1), expected)
    assert one.picture.value == other.picture.value
    assert one.picture.value != explore_residual(layers=2, seed=1).picture.value


def test_words_of_controls_come_from_the_palette():
    assert re.fullmatch(r"Context length", explore_mask(TOKENS, 7).controls["context"].description)
