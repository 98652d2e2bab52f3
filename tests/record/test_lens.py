"""The lens: its last row is the model, bit for bit, and every row has its own statistics.

Mutations: without the final norm, with the next block's norm, or with the last row's statistics, tests here fail.
"""

import pytest
import torch
from tiny import PRESETS, prompt, tiny

from glm_edu import record
from glm_edu.lens import lens, read, stream_names


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("options", [{}, {"tied_head": True}, {"final_norm": False}])
def test_the_last_row_is_the_logits_to_the_bit(preset, options):
    model = tiny(preset, **options)
    ids, _ = prompt(model.config, 6)
    rows = lens(model, ids)
    assert rows.shape == (model.config.num_layers + 1, *ids.shape, model.config.vocab_size)
    assert torch.equal(rows[-1], model(ids))


@pytest.mark.parametrize("preset", PRESETS)
def test_each_row_is_normalized_by_its_own_statistics(preset):
    model = tiny(preset)
    with record(model) as seen:
        model(prompt(model.config, 6)[0])
    for name in stream_names(model):
        loud = read(model, 100 * seen[name])  # a norm that takes its own statistics removes the factor
        torch.testing.assert_close(loud, read(model, seen[name]), atol=1e-3, rtol=1e-3)  # but for eps


def test_the_first_row_reads_the_embedding_and_row_i_what_block_i_minus_1_leaves():
    model = tiny("tiny-chatglm")
    ids, _ = prompt(model.config, 5)
    with record(model) as seen:
        model(ids)
    rows = lens(model, ids)
    assert stream_names(model) == ["embedding", "blocks.0.output", "blocks.1.output", "blocks.2.output"]
    for row, stream in zip(rows, (seen["embedding"], *(seen[f"blocks.{i}.output"] for i in range(3))), strict=True):
        normed = (stream - stream.mean(-1, keepdim=True)) / (stream.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        by_hand = (normed * model.final_norm.weight + model.final_norm.bias) @ model.head.weight.T
        torch.testing.assert_close(row, by_hand, atol=1e-4, rtol=1e-4)  # float32 sums in another order
