"""The mask painter holds and draws exactly the tensors that it was given."""

import pytest
import torch
from gallery import CONTEXT, LENGTH, TOKENS, Markup, padded, poem

from glm_edu.errors import GLMError, InputError
from glm_edu.figures import mask_painter, rule_mask, rule_positions
from glm_edu.model.masks import causal_mask, prefix_mask


def drawn(figure) -> torch.Tensor:
    """The cells of the static picture as a mask: the body's 1 and 0, read as a browser reads them."""
    cells = Markup(figure.picture.partition("<tbody>")[2]).text["td"]
    return torch.tensor([int(cell) for cell in cells]).bool().view(len(figure.data["tokens"]), -1)


@pytest.mark.parametrize("context", range(1, LENGTH))
def test_every_cell_is_the_mask_for_every_context(context):
    mask = prefix_mask(context, LENGTH)
    figure = mask_painter(mask, TOKENS, rule_positions(context, LENGTH), context=context)
    assert torch.equal(torch.tensor(figure.data["mask"]).bool(), mask)
    assert torch.equal(drawn(figure), mask)
    assert figure.data["positions"] == rule_positions(context, LENGTH).tolist()
    assert (figure.data["rule"], figure.data["context"], figure.data["slides"]) == ("prefix", context, True)


@pytest.mark.parametrize("context", range(2, LENGTH + 1))
def test_the_context_is_read_off_a_prefix_mask(context):
    assert mask_painter(prefix_mask(context, LENGTH), TOKENS).data["context"] == context


def test_a_causal_mask_is_called_causal():
    figure = mask_painter(causal_mask(LENGTH, LENGTH), TOKENS, torch.arange(LENGTH)[None], rules=["causal"])
    assert (figure.data["rule"], figure.data["slides"]) == ("causal", False)
    assert torch.equal(drawn(figure), causal_mask(LENGTH, LENGTH))
    assert "class=ctx" not in figure.picture
    assert "sees itself and what stands before it. 91 of 169 are visible" in figure.alt


def test_the_recorded_tensors_of_a_model_can_be_passed_as_they_are():
    seen = poem().seen
    figure = mask_painter(seen["mask"][0, 0], TOKENS, seen["position_ids"][0])
    assert (figure.data["rule"], figure.data["context"], figure.data["anchor"]) == ("prefix", CONTEXT, None)


def test_context_and_order_are_drawn_apart():
    picture = mask_painter(prefix_mask(CONTEXT, LENGTH), TOKENS, context=CONTEXT).picture
    assert picture.count("class=ctx") == CONTEXT * LENGTH
    assert picture.count("class=past") == 21  # the triangle of the six tokens from sop on


def test_padding_is_drawn_and_marked():
    mask, tokens, positions = padded()
    figure = mask_painter(mask, tokens, positions, context=4, pads=2)
    assert torch.equal(drawn(figure), mask)
    assert figure.picture.count("class=pad") == 4  # two columns, two rows


def test_a_mask_token_inside_the_text_anchors_the_clock():
    positions = rule_positions(CONTEXT, LENGTH, anchor=2)
    figure = mask_painter(prefix_mask(CONTEXT, LENGTH), TOKENS, positions, context=CONTEXT)
    assert (figure.data["anchor"], figure.data["slides"]) == (2, False)


def test_the_mistake_is_marked_in_the_static_picture():
    mask = rule_mask("sop_joins_prefix", CONTEXT, LENGTH)
    figure = mask_painter(mask, TOKENS, context=CONTEXT, rules=["prefix"], mistakes=["sop_joins_prefix"])
    assert figure.data["rule"] == "sop_joins_prefix"
    assert figure.picture.count("class=bad") == CONTEXT
    assert "The first 8 columns are visible to every row" in figure.alt


def test_tensors_without_a_rule_are_drawn_without_controls():
    mask = torch.eye(3).bool()
    figure = mask_painter(mask, list("abc"))
    assert (figure.data["rule"], figure.data["rules"]) == (None, [])
    assert torch.equal(drawn(figure), mask)
    assert "no single rule" in figure.alt


def test_a_named_context_that_does_not_fit_is_an_error_that_names_the_cell():
    mask = prefix_mask(3, 5)
    mask[0, 4] = True
    with pytest.raises(InputError, match=r"context 3 .* query 0, key 4"):
        mask_painter(mask, list("abcde"), context=3)
    with pytest.raises(InputError, match="position ids follow no rule"):
        mask_painter(prefix_mask(3, 5), list("abcde"), torch.zeros(2, 5, dtype=torch.long), context=3)


@pytest.mark.parametrize("tokens", [TOKENS[:-1], [*TOKENS, "one more"]])
def test_a_token_too_few_or_too_many_is_an_error(tokens):
    with pytest.raises(GLMError, match=f"tokens has {len(tokens)} entries.*query axis has 13"):
        mask_painter(prefix_mask(CONTEXT, LENGTH), tokens)


def test_positions_of_another_length_are_an_error():
    with pytest.raises(GLMError, match="position axis has 12"):
        mask_painter(prefix_mask(CONTEXT, LENGTH), TOKENS, torch.zeros(2, 12, dtype=torch.long))


def test_alt_text_says_what_there_is_to_see():
    alt = mask_painter(prefix_mask(CONTEXT, LENGTH), TOKENS).alt
    assert alt.startswith("Mask of 13 tokens: rows ask, columns answer")
    assert "The first 7 columns are visible to every row" in alt
    assert "112 of 169 are visible" in alt  # 13 * 7 + 1 + 2 + ... + 6
