"""The exercises of chapter 14: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import math
from dataclasses import replace

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu import KVCache, ModelConfig, Transformer
from glm_edu.exercises import NOT_YET, p_tuning
from glm_edu.exercises.p_tuning import check_attention, check_counts, check_layers
from glm_edu.model.prefix import PrefixEncoder

RIGHT = [right for right, _ in p_tuning.COUNTS.values()]


def attention_by_hand(query, key, value, prefix_key, prefix_value, mask):
    out = torch.zeros_like(query)
    for n in range(len(query)):
        for q in range(query.shape[1]):
            keys = [*prefix_key[n], *(k for k, seen in zip(key[n], mask[q], strict=True) if seen)]
            values = [*prefix_value[n], *(v for v, seen in zip(value[n], mask[q], strict=True) if seen)]
            weights = [math.exp(float(query[n, q] @ k) / math.sqrt(len(k))) for k in keys]
            out[n, q] = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    return out


def layers_by_hand(rows, layers, d):
    return rows.view(len(rows), layers, 2, -1, d).permute(1, 2, 3, 0, 4)


@pytest.mark.parametrize("check, solution", [
    (check_attention, attention_by_hand), (check_attention, p_tuning.my_attention),
    (check_layers, layers_by_hand), (check_layers, p_tuning.my_layers),
])  # fmt: skip
def test_a_solution_passes(check, solution):
    assert_kind(check(solution), "right")


@pytest.mark.parametrize("check", [check_attention, check_layers])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), NOT_YET)


@pytest.mark.parametrize("check, slips", [
    (check_attention, p_tuning.ATTENTIONS), (check_layers, p_tuning.ORDERS),
])  # fmt: skip
def test_every_known_mistake_gets_its_hint(check, slips):
    for slip in slips:
        verdict = check(slip.wrong)
        assert (verdict.ok, verdict.kind, verdict.hint) == (False, slip.kind, slip.hint)


def test_known_mistakes_are_told_apart():
    assert_told_apart(p_tuning.ATTENTIONS, [p_tuning._given(3, 5, True), p_tuning._given(1, 4, False)])
    assert_told_apart(p_tuning.ORDERS, [p_tuning._table(2, 3, 2, 4), p_tuning._table(5, 2, 3, 2)])


def test_an_unknown_mistake_is_told_by_its_place():
    assert "head 0, query 0" in check_attention(lambda *given: -p_tuning.my_attention(*given)).hint
    assert "the key of layer 0, group 0, row 0" in check_layers(lambda *given: p_tuning.my_layers(*given) + 1).hint


def test_the_order_is_that_of_the_package():
    config = replace(ModelConfig.preset("tiny-chatglm2"), prefix_length=3)
    encoder = PrefixEncoder(config).eval()
    ours = torch.stack([torch.stack(pair) for pair in encoder(1, torch.float32)])[:, :, 0]
    assert torch.equal(ours, p_tuning.my_layers(encoder.embedding.weight, config.num_layers, config.head_dim))


def test_the_right_counts_are_those_of_real_prefixes():
    with torch.device("meta"):
        configs = [replace(ModelConfig.preset(name), prefix_length=1) for name in ("chatglm-6b", "chatglm2-6b")]
        rows = [PrefixEncoder(config).embedding.weight.numel() for config in configs]
    model, cache = Transformer(replace(ModelConfig.preset("tiny-chatglm2"), prefix_length=p_tuning.LENGTH)), KVCache()
    model(torch.arange(10, 10 + p_tuning.PROMPT)[None], cache=cache)
    assert [*rows, cache.length, cache.tokens - p_tuning.PROMPT] == RIGHT


def test_counts_are_judged_one_after_the_other():
    assert_kind(check_counts(*RIGHT), "right")
    assert_kind(check_counts(..., ..., ..., ...), NOT_YET)
    for place, (name, (_, slips)) in enumerate(p_tuning.COUNTS.items()):
        assert len({slip.wrong for slip in slips} | {RIGHT[place]}) == len(slips) + 1
        for slip in slips:
            verdict = check_counts(*RIGHT[:place], slip.wrong, *[...] * (3 - place))
            assert (verdict.kind, verdict.hint) == (slip.kind, f"{name}: {slip.hint}")
    assert check_counts(7, 7, 7, 7).hint.startswith("ChatGLM-6B: 7 is too small; ask what has keys")
