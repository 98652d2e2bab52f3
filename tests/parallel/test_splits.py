"""The plan of tensor parallelism: every weight has a row, every head its group; what comes out uneven stays whole."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glm_edu import ModelConfig, Transformer
from glm_edu.checkpoints.sketch import NoInit
from glm_edu.errors import InputError
from glm_edu.parallel import split_plan

PRESETS = ("chatglm-6b", "chatglm2-6b", "chatglm3-6b", "llama-7b", "tiny-chatglm", "tiny-chatglm2", "tiny-llama")
TINY = ModelConfig.preset("tiny-llama")


def shapes(config: ModelConfig) -> dict[str, torch.Size]:
    with torch.device("meta"), NoInit():
        return {name: p.shape for name, p in Transformer(config).named_parameters()}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_has_one_row(preset: str) -> None:
    config = replace(ModelConfig.preset(preset), prefix_length=4, num_layers=2)
    plan = split_plan(config, 2)
    for name in shapes(config):
        assert sum(fnmatchcase(name, f"{row.modules}.*") for row in plan.rows) == 1, name


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
@pytest.mark.parametrize("preset", ["chatglm-6b", "chatglm2-6b", "llama-7b"])
def test_a_rank_of_a_published_model_holds_its_share(preset: str, ranks: int) -> None:
    """What is whole on every rank (norms, biases of rows, a group that ranks share) is less than half a percent."""
    config = ModelConfig.preset(preset)
    share = split_plan(config, ranks).numel(shapes(config)) / config.parameter_count
    assert 1 / ranks <= share < 1 / ranks + 0.005


def test_chatglm2_on_four_ranks() -> None:
    """Two kv groups for four ranks: two of them hold the same group, and the cache counts one."""
    plan = split_plan(ModelConfig.preset("chatglm2-6b"), 4)
    cuts = {row.modules: (row.cut, row.pieces, row.sends) for row in plan.rows}
    assert cuts == {
        "embedding": ("table", 4, "all-reduce"),
        "blocks.*.input_norm": ("whole", 1, ""),
        "blocks.*.attention.query": ("columns", 4, ""),
        "blocks.*.attention.key": ("columns", 2, ""),
        "blocks.*.attention.value": ("columns", 2, ""),
        "blocks.*.attention.output": ("rows", 4, "all-reduce"),
        "blocks.*.post_attention_norm": ("whole", 1, ""),
        "blocks.*.feedforward.gate": ("columns", 4, ""),
        "blocks.*.feedforward.up": ("columns", 4, ""),
        "blocks.*.feedforward.down": ("rows", 4, "all-reduce"),
        "final_norm": ("whole", 1, ""),
        "head": ("columns", 4, "all-gather"),
    }
    assert (plan.local_config.num_heads, plan.local_config.num_kv_groups) == (8, 1)
    assert plan.sent("all-reduce") == (2 * 28 + 1) * 4096
    assert plan.sent("all-gather", tokens=3) == 3 * 65024
    assert "2 ranks share a kv group" in str(plan)


def test_a_bias_is_cut_with_the_outputs_and_never_with_the_inputs() -> None:
    plan = split_plan(ModelConfig.preset("chatglm-6b"), 2)
    assert plan.row("blocks.0.feedforward.up.bias").shape((16384,)) == (8192,)
    assert plan.row("blocks.0.feedforward.down.bias").shape((4096,)) == (4096,)


@given(ranks=st.integers(1, 8), heads_a_rank=st.integers(1, 4), data=st.data())
def test_every_head_finds_its_group_on_its_rank(ranks: int, heads_a_rank: int, data: st.DataObject) -> None:
    """What the network computes on a rank, head // (heads/groups), is the group that the whole network reads.

    The feed-forward, 840 wide, can be cut into anything from 1 to 8: without it some draws would have nothing to cut.
    """
    heads = ranks * heads_a_rank
    groups = data.draw(st.sampled_from([g for g in range(1, heads + 1) if heads % g == 0]))
    plan = split_plan(replace(TINY, num_heads=heads, num_kv_groups=groups, feedforward_size=840), ranks)
    pieces, local = plan.row("blocks.0.attention.key.").pieces, plan.local_config
    if groups % ranks and ranks % groups:
        assert plan.row("blocks.0.attention.output.").cut == plan.row("blocks.0.attention.key.").cut == "whole"
        return
    for rank in range(ranks):
        first_group = rank // (ranks // pieces) * local.num_kv_groups  # which piece a rank holds: see distribute
        for head in range(local.num_heads):
            group = first_group + head // (local.num_heads // local.num_kv_groups)
            assert group == (rank * local.num_heads + head) // (heads // groups)


def test_what_does_not_come_out_even_stays_whole_and_says_so() -> None:
    smol = replace(TINY, num_heads=9, num_kv_groups=3, tied_head=True)
    two, three = split_plan(smol, 2), split_plan(smol, 3)
    assert {row.cut for row in two.rows if ".attention." in row.modules} == {"whole"}
    assert two.row("blocks.0.attention.query.weight").why == "9 heads, 3 kv groups: not even on 2 ranks"
    assert two.row("blocks.0.feedforward.down.weight").cut == "rows"
    assert three.row("blocks.0.attention.key.weight").pieces == 3
    assert three.row("blocks.0.feedforward.up.weight").why == "112 hidden elements are not a multiple of 3"
    assert three.row("embedding.weight").why == "the head is the same table"
    assert two.local_config == replace(smol) and two.sent("all-gather") == 0


@pytest.mark.parametrize("ranks", [0, -1, True, 2.0])
def test_no_number_of_devices(ranks: int, unchecked: None) -> None:
    with pytest.raises(InputError, match=r"ranks=.* should be a number of devices"):
        split_plan(TINY, ranks)


def test_a_model_that_cannot_be_cut_at_all() -> None:
    with pytest.raises(InputError, match="into 5 equal pieces: it has 4 heads, 112 hidden elements and 512 ids"):
        split_plan(TINY, 5)
