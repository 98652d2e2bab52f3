"""Processes that share a model give what one process gives, hold their share of it, and never hang.

A world of processes is started once for each size, and does everything that is asked of that size.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from rank_work import all_families, fail_on_the_second
from tiny import prompt
from torch import Tensor

from glm_edu import KVCache, Transformer, generate
from glm_edu.parallel import RankError, run_local, split_plan
from glm_edu.parallel.ranks import _wait

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {  # what each adds
    "chatglm1_gmask": "prefix mask, two clocks, biases, layer scaling, heads interleaved in the file",
    "chatglm1_ptuning_proj": "a learned prefix in front of the keys",
    "chatglm2_prefill": "2 kv groups: fewer than 4 ranks",
    "chatglm2_one_group": "1 kv group: whole on every rank",
    "chatglm2_mha": "biases cut with interleaved heads",
    "llama_gqa": "three files' worth of separate linears",
    "llama_bias": "biases after rows, and a head that is the embedding",
}
ALONE = ("chatglm1_ptuning_proj", "chatglm2_mha", "llama_gqa")  # a batch of one, which has a product of its own
NEW = 6
TIMEOUT = 300.0  # seconds: only a hang takes so long, even on a machine that does much else


@cache
def whole(name: str) -> Transformer:
    """One process's model, and no test changes it."""
    return Transformer.from_pretrained(GOLDEN / name).requires_grad_(False)


@pytest.fixture(scope="module")
def prompts() -> dict[str, tuple[Path, tuple[Tensor, Tensor]]]:
    """One row, or three padded on the left, which do not come out even on ranks."""
    lengths = {name: (9,) if name in ALONE else (9, 6, 7) for name in CASES}
    return {name: (GOLDEN / name, prompt(whole(name).config, *lengths[name], answer=2)) for name in CASES}


@pytest.fixture(scope="module", params=[2, 4])
def world(request: pytest.FixtureRequest, prompts: Any) -> list[dict[str, Any]]:
    """What each rank reports."""
    return run_local(request.param, all_families, prompts, NEW, "chatglm1_gmask", timeout=TIMEOUT)


@pytest.mark.parametrize("name", CASES)
def test_ranks_answer_as_one_process_does(name: str, world: list[dict[str, Any]], prompts: Any) -> None:
    """Logits, those of a cached step, and the ids written.

    Ranks add float32 products in another order than one process does: R partial sums instead of one, in each of two
    sums a block. That moved the logits by up to 7e-7 of the largest; 5e-6 is allowed. Any wrong head, group, bias or
    piece moves them by more than a hundredth.
    """
    model, (_, (ids, keep)), cache = whole(name), prompts[name], KVCache()
    logits = model(ids, attention_mask=keep, cache=cache)
    after = model(logits[:, -1:].argmax(-1), cache=cache)
    allowed, kept = 5e-6 * float(logits.abs().max()), keep.bool()
    for rank in world:
        given = rank["reports"][name]
        assert torch.allclose(given["logits"][kept], logits[kept], rtol=0, atol=allowed)
        assert torch.allclose(given["next_logits"], after, rtol=0, atol=allowed)
        assert torch.equal(given["ids"], generate(model, ids, NEW, stop_ids=(), attention_mask=keep))


@pytest.mark.parametrize("name", CASES)
def test_ranks_agree_to_the_last_bit(name: str, world: list[dict[str, Any]]) -> None:
    """Each chooses the next token by itself, so one that saw other logits would write another text."""
    for rank in world[1:]:
        assert torch.equal(rank["reports"][name]["next_logits"], world[0]["reports"][name]["next_logits"])


@pytest.mark.parametrize("name", CASES)
def test_ranks_hold_and_send_what_the_plan_says(name: str, world: list[dict[str, Any]], prompts: Any) -> None:
    model, (_, (ids, _)) = whole(name), prompts[name]
    plan = split_plan(model.config, len(world))
    config, prefix = plan.local_config, model.config.prefix_length
    held = plan.numel({parameter: tensor.shape for parameter, tensor in model.named_parameters()})
    cached = 2 * ids.shape[0] * (ids.shape[1] + prefix) * config.num_kv_groups * config.head_dim * config.num_layers
    expected = {"held": 4 * held, "cache": 4 * cached}  # float32: 4 bytes
    sent = {how: 4 * plan.sent(how, tokens=len(ids)) for how in ("all-reduce", "all-gather") if plan.sent(how)}
    for rank in world:
        given = rank["reports"][name]
        assert {key: given[key] for key in expected} == expected
        assert given["sent"] == sent


def test_rows_shared_out_are_those_of_one_process(world: list[dict[str, Any]], prompts: Any) -> None:
    """The model's own stop ids hold: a row that ends early is filled up, whichever rank wrote it."""
    ids, keep = prompts["chatglm1_gmask"][1]
    expected = generate(whole("chatglm1_gmask"), ids, NEW, attention_mask=keep)
    for rank in world:
        assert torch.equal(rank["rows"], expected)


def test_a_rank_that_fails_ends_all_with_its_own_words() -> None:
    with pytest.raises(RankError, match="of 2 failed: ValueError: the second rank has no memory left"):
        run_local(2, fail_on_the_second, timeout=TIMEOUT)


def test_ranks_that_are_never_done_are_ended() -> None:
    class Stuck:
        killed = False

        def join(self, timeout: float) -> bool:
            return False

        def kill(self) -> None:
            self.killed = True

    stuck = Stuck()
    stuck.processes = [stuck]  # type: ignore[attr-defined]
    with pytest.raises(RankError, match="1 ranks were not done after 0 s, and were ended"):
        _wait(stuck, timeout=0.0)
    assert stuck.killed
