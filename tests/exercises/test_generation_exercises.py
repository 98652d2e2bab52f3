"""The exercises of chapter 13: a right answer passes, each mistake gets its own hint, a stub is told so.

The answers below are written as a reader would write them; none uses the package's own step.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from verdicts import STUBS, assert_kind

from glm_edu import KVCache, ModelConfig, Transformer, record
from glm_edu.exercises import CLOSE, generation, same
from glm_edu.exercises.generation import check_reads, check_step, check_step_mask, reported_mask, turn

RIGHT = {"without": 60, "cached": 14, "block": 5}


@pytest.mark.parametrize("answers, kind", [
    ({}, "right"),
    ({"without": 14}, "that is with a cache"),
    ({"without": 50}, "the text grows"),
    ({"without": 75}, "one step too many"),
    ({"without": 65}, "the first step comes early"),
    ({"without": 59}, "another number"),
    ({"cached": 15}, "the last token is not read"),
    ({"cached": 60}, "that is without a cache"),
    ({"cached": 5}, "the prompt is read too"),
    ({"cached": 4}, "the prompt is read too"),
    ({"block": 6}, "the fifth token is not read"),
    ({"block": 4}, "<sop> has block 1"),
    ({"block": 13}, "the clock of the text"),
    ({"block": 8}, "the first clock"),
    ({"block": 5.0}, "not a whole number"),
    ({"without": ...}, "not written yet"),
])  # fmt: skip
def test_a_predicted_count_gets_its_verdict(answers, kind):
    assert_kind(check_reads(**(RIGHT | answers)), kind)


def test_the_counts_are_those_of_a_run():
    """A ChatGLM-6B prompt of ten tokens, five new ones: what is handed to the network, and where it stands."""
    model = Transformer(ModelConfig.preset("tiny-chatglm")).eval()
    ids = torch.arange(20, 30)[None]
    ids[0, -2:] = torch.tensor([model.config.gmask_id, model.config.bos_id])
    cache, cached, without, given = KVCache(), 0, 0, ids
    with torch.no_grad(), record(model, "position_ids") as seen:
        for _ in range(5):
            cached, without = cached + given.shape[1], without + ids.shape[1]
            given = model(given, cache=cache)[:, -1:].argmax(-1)
            ids = torch.cat([ids, given], dim=1)
    assert {"without": without, "cached": cached, "block": int(seen["position_ids"][0, 1, -1])} == RIGHT


def step(start=0, looks=None, turned="qk", twice=False, scale=True, front=False, factor=1):
    """A reader's step. ``start``: how far off the new tokens stand; ``looks``: the same for the mask."""

    def answer(query, key, value, keys, values, turn):
        past, new = keys.shape[1], key.shape[1]
        first = past + start if start != "zero" else 0
        place = torch.arange(first, first + new)
        row = place if looks is None else torch.arange(past + looks, past + looks + new)
        given = {"q": query, "k": key, "v": value}
        query, key, value = (turn(x, place) if name in turned else x for name, x in given.items())
        keys = turn(keys, torch.arange(past)) if twice else keys
        pairs = [(key, value), (keys, values)] if front else [(keys, values), (key, value)]
        keys, values = (torch.cat(pair, 1) for pair in zip(*pairs, strict=True))
        hidden = torch.arange(past + new) > row[:, None]
        scores = query @ keys.mT / (math.sqrt(query.shape[-1]) if scale else 1)
        return scores.masked_fill(hidden, -torch.inf).softmax(-1) @ values * factor

    return answer


def fast(query, key, value, keys, values, turn):
    past, new = keys.shape[1], key.shape[1]
    place = torch.arange(past, past + new)
    keys, values = torch.cat([keys, turn(key, place)], 1), torch.cat([values, value], 1)
    mask = torch.ones(new, past + new).tril(past) > 0
    return F.scaled_dot_product_attention(turn(query, place), keys, values, attn_mask=mask)


@pytest.mark.parametrize("answer, kind", [
    (step(), "right"),
    (fast, "right"),
    (step("zero", looks=0), "every step starts at 0"),
    (step("zero"), "every step starts at 0, and so does its mask"),
    (step(1, looks=0), "off by one"),
    (step(1), "off by one, and so is the mask"),
    (step(-1, looks=0), "off by one"),
    (step(-1), "off by one, and so is the mask"),
    (step(turned="q"), "the new key is not turned"),
    (step(turned="k"), "the query is not turned"),
    (step(turned=""), "nothing is turned"),
    (step(turned="qkv"), "values are turned"),
    (step(twice=True), "cached keys turned again"),
    (step(front=True), "new tokens stand in front"),
    (step(looks=9), "new tokens look ahead"),
    (step(scale=False), "not divided by sqrt(d)"),
    (step(factor=2), "another mistake"),
    (lambda q, k, v, keys, values, turn: step()(q, k, v, keys[:, :0], values[:, :0], turn), "the cache is not read"),
    (lambda *given: step()(*given)[0], "the shape"),
    (lambda *given: None, "not written yet"),
])  # fmt: skip
def test_a_step_gets_its_verdict(answer, kind):
    assert_kind(check_step(answer), kind)


def test_an_unknown_mistake_is_told_by_its_place():
    assert "with 5 cached tokens and 1 new, head 0 of new token 0" in check_step(step(factor=2)).hint


@pytest.mark.parametrize("stub", STUBS)
def test_a_step_that_is_not_written(stub):
    assert_kind(check_step(stub), "not written yet")


@pytest.mark.parametrize("answer, kind", [
    (lambda past, new: torch.ones(new, past + new).tril(past).bool(), "right"),
    (lambda past, new: torch.ones(new, past + new).tril().bool(), "not written yet"),
    (reported_mask, "not written yet"),
    (lambda past, new: torch.ones(new, past + new).tril(past + 1).bool(), "one ahead"),
    (lambda past, new: torch.ones(new, past + new).tril(past - 1).bool(), "the diagonal is missing"),
    (lambda past, new: torch.ones(new, past + new).bool(), "new tokens look ahead"),
    (lambda past, new: torch.ones(new, past + new).triu(past + 1).bool(), "True for hidden"),
    (lambda past, new: F.pad(torch.ones(new, new).tril(), (past, 0)).bool(), "the cache is hidden"),
    (lambda past, new: F.pad(torch.zeros(new, new), (past, 0), value=1).bool(), "only the cache is open"),
    (lambda past, new: torch.ones(new, past + new).tril(past).triu().bool(), "a window"),
    (lambda past, new: torch.ones(new, new).tril().bool(), "the shape"),
    (lambda past, new: torch.ones(new, past + new).tril(past), "the kind of number"),
    (lambda past, new: torch.ones(new, past + new).tril(past + 2).bool(), "another mistake"),
])  # fmt: skip
def test_a_mask_of_a_step_gets_its_hint(answer, kind):
    assert_kind(check_step_mask(answer), kind)


@pytest.mark.parametrize("stub", STUBS)
def test_a_mask_that_is_not_written(stub):
    assert_kind(check_step_mask(stub), "not written yet")


def test_no_two_slips_of_an_exercise_look_alike():
    given = generation._given(past=4, new=3)
    results = [[slip.wrong(*given)] for slip in generation.STEPS]
    assert not any(same(a, b, CLOSE) for i, a in enumerate(results) for b in results[:i])
    masks = [slip.wrong(3, 4).tolist() for slip in generation.MASKS]
    assert all(a != b for i, a in enumerate(masks) for b in masks[:i])


def test_a_hint_is_a_sentence():
    slips = [*generation.STEPS, *generation.MASKS, *(s for _, some in generation.READS.values() for s in some)]
    assert all(slip.hint.rstrip()[-1] in ".?" for slip in slips)


def test_turning_is_the_packages_own():
    x, place = torch.randn(2, 3, 8), torch.tensor([0, 4, 9])
    assert torch.equal(turn(x[:, :1], place[:1]), x[:, :1])
    a, b = turn(x, place), turn(x, place + 7)
    torch.testing.assert_close(a @ a.mT, b @ b.mT, atol=1e-5, rtol=1e-5)  # only distances count
