"""Patching: nothing for nothing, everything for everything, and in between only what the mask lets through.

Mutations: donor and own exchanged, the position on the batch axis, or a patch that stays on, tests here fail.
"""

import pytest
import torch
from tiny import PRESETS, prompt, tiny

from glm_edu import record
from glm_edu.errors import InputError, RecordError
from glm_edu.lens import stream_names
from glm_edu.patching import patch_map, patched
from glm_edu.record import taps


def pair(model, place=1, rows=2):
    """Two prompts a row that differ in one token."""
    ids, _ = prompt(model.config, *[7] * rows, answer=1)
    donor = ids.clone()
    donor[:, place] = (donor[:, place] + 1 - 10) % 390 + 10
    return ids, donor


def streams(model, ids):
    """Every tensor but the maps: those would be computed, and the last bits differ, on another path."""
    with record(model, [name for name in taps(model) if not name.endswith(("scores", "probs"))]) as seen:
        model(ids)
    return seen


@pytest.mark.parametrize("preset", PRESETS)
def test_a_tensor_in_its_own_place_changes_no_bit(preset):
    model = tiny(preset)
    ids, _ = pair(model)
    own = streams(model, ids)
    for name in ("embedding", "blocks.1.middle", "blocks.1.attention.mixed", "blocks.2.output"):
        assert torch.equal(patched(model, ids, name, own[name]), own["logits"])
        assert torch.equal(patched(model, ids, name, own[name], 3), own["logits"])


@pytest.mark.parametrize("preset", PRESETS)
def test_a_stream_at_every_position_gives_the_donors_logits_to_the_bit(preset):
    model = tiny(preset)
    ids, other = pair(model)
    donor = streams(model, other)
    assert not torch.equal(model(ids), donor["logits"])
    for name in stream_names(model):
        assert torch.equal(patched(model, ids, name, donor[name]), donor["logits"])


def test_one_position_is_the_donors_and_the_others_are_not():
    model = tiny("tiny-chatglm")
    ids, other = pair(model)
    own, donor = streams(model, ids), streams(model, other)
    with record(model, "blocks.1.input") as seen:
        logits = patched(model, ids, "blocks.0.output", donor["blocks.0.output"], 4)
    expected = own["blocks.0.output"].clone()
    expected[:, 4] = donor["blocks.0.output"][:, 4]
    assert torch.equal(seen["blocks.1.input"], expected)
    assert not torch.equal(logits, own["logits"]) and not torch.equal(logits, donor["logits"])
    assert torch.equal(model(ids), own["logits"])  # the patch is gone, and its tensors are whole
    assert torch.equal(streams(model, other)["blocks.0.output"], donor["blocks.0.output"])


def last(logits):
    return logits[:, -1, 7] - logits[:, -1, 8]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_map_is_what_patching_one_by_one_gives(preset):
    model = tiny(preset)
    ids, other = pair(model)
    donor, names = streams(model, other), stream_names(model)
    moved = patch_map(model, ids, other, names, last)
    assert moved.shape == (len(names), 7, 2)
    for row, name in enumerate(names):
        for place in range(7):
            by_hand = last(patched(model, ids, name, donor[name], place)) - last(model(ids))
            assert torch.equal(moved[row, place], by_hand), (name, place)


def test_the_first_row_moves_at_the_changed_token_only_and_the_last_where_the_answer_is_read():
    model = tiny("tiny-chatglm")
    ids, other = pair(model, place=2)
    moved = patch_map(model, ids, other, stream_names(model), last)
    whole = last(model(other)) - last(model(ids))
    assert moved[0].any(-1).tolist() == [False, False, True, False, False, False, False]
    assert moved[-1].any(-1).tolist() == [False] * 6 + [True]
    assert torch.equal(moved[0, 2], whole) and torch.equal(moved[-1, 6], whole)


def test_a_change_reaches_all_of_a_prefix_in_one_block_and_under_a_causal_mask_only_what_follows():
    names = ["blocks.0.output"]
    for preset, first in (("tiny-chatglm", 0), ("tiny-chatglm2", 3)):
        model = tiny(preset)
        ids, other = pair(model, place=3)
        reached = patch_map(model, ids, other, names, last)[0].any(-1)
        assert reached.tolist() == [place >= first for place in range(7)], preset


def test_what_cannot_be_patched_is_refused(unchecked):
    model = tiny("tiny-chatglm")
    ids, other = pair(model)
    with pytest.raises(InputError, match=r"\[2, 7\] and \[2, 6\] tokens"):
        patch_map(model, ids, other[:, 1:], ["embedding"], last)
    with pytest.raises(RecordError, match="No tensor is called"):
        patch_map(model, ids, other, ["blocks.9.output"], last)
    with pytest.raises(RecordError, match=r"should be a tensor \[2, 7, 64\], not \[1, 7, 64\]"):
        patched(model, ids, "blocks.0.output", streams(model, other)["blocks.0.output"][:1], 2)
