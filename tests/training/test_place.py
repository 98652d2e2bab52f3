"""An answer stands where it is put: at the place that the model would take by itself, and at any other."""

import pytest
import torch

from glm_edu import Transformer, generate, load_tokenizer
from glm_edu.errors import GLMError
from glm_edu.model.positions import glm_positions
from glm_edu.training.place import clocks_at, fill_at

TWO_BLANKS = "白日依山[MASK]，黄河入海流。欲穷千里目，更上一层[MASK]。"  # the sun has set; one storey more


@pytest.fixture(scope="module")
def tang():
    return Transformer.from_pretrained("tang-glm").eval(), load_tokenizer("tang-glm")


def test_by_itself_the_model_puts_its_answer_at_the_first_mask(tang):
    model, tokenizer = tang
    ids = torch.tensor([tokenizer.encode(TWO_BLANKS)])
    first = int((ids[0] == tokenizer.mask_id).int().argmax())
    context = ids.shape[1] - 1
    own, _ = glm_positions(ids, torch.ones_like(ids, dtype=torch.bool), model.config)
    assert clocks_at(ids, context, first).tolist() == own.tolist()
    written = generate(model, ids, max_new_tokens=10)[0, ids.shape[1] :].tolist()
    written = written[: written.index(tokenizer.eop_id)] if tokenizer.eop_id in written else written
    assert fill_at(model, ids, first) == written
    assert fill_at(model, ids, first, most=0) == []


def test_each_step_stands_where_the_answer_was_put(tang):
    model, tokenizer = tang
    ids = torch.tensor([tokenizer.encode("[MASK]，黄河入海流。[MASK]，更上一层楼。")])
    place = int((ids[0] == tokenizer.mask_id).nonzero()[1])
    written = fill_at(model, ids, place)
    assert len(written) > 1, "a blank of one token would not show a second step"
    whole = torch.tensor([ids[0].tolist() + written])
    with torch.no_grad():
        logits = model(whole, position_ids=clocks_at(whole, ids.shape[1] - 1, place))[0]
    assert logits[ids.shape[1] - 1 : -1].argmax(-1).tolist() == written
    assert fill_at(model, ids, 0) != written


@pytest.mark.parametrize("place", [-1, 24])
def test_a_place_behind_the_context_is_refused(tang, place):
    model, tokenizer = tang
    ids = torch.tensor([tokenizer.encode(TWO_BLANKS)])
    with pytest.raises(GLMError, match="may stand at 0 to 23"):
        fill_at(model, ids, place)
    with pytest.raises(GLMError, match="a prompt ends with <sop>"):
        fill_at(model, torch.cat([ids, ids[:, :1]], dim=1), 4)


@pytest.mark.usefixtures("unchecked")
def test_a_place_is_that_of_one_prompt_on_its_device(tang):
    with pytest.raises(GLMError, match=r"ids are \[2, 3\]: a place is that of one prompt"):
        fill_at(tang[0], torch.zeros(2, 3, dtype=torch.long), 0)
    assert clocks_at(torch.zeros(1, 3, dtype=torch.long, device="meta"), 2, 0).device.type == "meta"
