"""The rules behind the mask painter are the network's own."""

import pytest
import torch
from gallery import CONTEXT, LENGTH, TOKENS, poem

from glm_edu import ModelConfig, Transformer, record
from glm_edu.errors import InputError
from glm_edu.figures import rule_mask, rule_positions
from glm_edu.figures.rules import slide
from glm_edu.model.masks import causal_mask, prefix_mask

CONTEXTS = range(LENGTH + 1)


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_mistake_opens_the_column_of_sop_and_no_other(context):
    wrong = (rule_mask("sop_joins_prefix", context, LENGTH) != rule_mask("prefix", context, LENGTH)).nonzero().tolist()
    assert wrong == ([[q, context] for q in range(context)] if context < LENGTH else [])


@pytest.mark.parametrize("context", CONTEXTS)
def test_without_padding_the_rules_are_the_masks_of_the_package(context):
    assert torch.equal(rule_mask("prefix", context, LENGTH), prefix_mask(context, LENGTH))
    assert torch.equal(rule_mask("causal", context, LENGTH), causal_mask(LENGTH, LENGTH))


def test_an_unknown_rule_is_refused_by_name():
    with pytest.raises(InputError, match=r"'diagonal'.*prefix, causal, sop_joins_prefix"):
        rule_mask("diagonal", 3, 5)


@pytest.mark.parametrize("pads", [0, 1, 3])
@pytest.mark.parametrize("context", [5, 8, 12])
@pytest.mark.parametrize("kind", ["gmask", "mask"])
def test_mask_and_clocks_are_those_that_the_model_computes(kind, context, pads):
    """The whole way through the network: ids with special tokens and padding in, recorded mask and position ids out."""
    model = Transformer(ModelConfig.preset("tiny-chatglm"))
    config = model.config
    ids, keep = torch.arange(6, 6 + LENGTH)[None], torch.arange(LENGTH)[None] >= pads
    filled = context - 1 if kind == "gmask" else pads + 1
    ids[0, filled] = config.gmask_id if kind == "gmask" else config.mask_id
    ids[0, context], ids[0, :pads] = config.bos_id, config.pad_id
    with torch.no_grad(), record(model, ["mask", "position_ids"]) as seen:
        model(ids, attention_mask=keep.int())
    anchor = None if kind == "gmask" else filled - pads
    assert torch.equal(rule_mask("prefix", context, LENGTH, pads), seen["mask"][0, 0])
    assert torch.equal(rule_positions(context, LENGTH, pads, anchor), seen["position_ids"][0])


def test_one_clock_counts_every_token():
    assert rule_positions(3, 6, pads=2, channels=1).tolist() == [[0, 0, 0, 1, 2, 3]]


def test_the_poem_has_the_clocks_of_the_landing_page():
    assert poem().seen["position_ids"][0].tolist() == [[*range(7), *[6] * 6], [*[0] * 7, *range(1, 7)]]


def test_slide_moves_mask_token_and_sop_together():
    assert slide(TOKENS, CONTEXT, CONTEXT) == TOKENS
    assert slide(TOKENS, CONTEXT, 4) == [*"白日依", "[M]", "sop", *"山尽，黄河入海流"]
    assert slide(TOKENS, CONTEXT, 1) == ["[M]", "sop", *"白日依山尽，黄河入海流"]
    assert slide(TOKENS, CONTEXT, 12) == [*"白日依山尽，黄河入海流", "[M]", "sop"]
