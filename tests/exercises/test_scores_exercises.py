"""The exercises of chapter 8: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import math
from dataclasses import replace

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu import ModelConfig
from glm_edu.exercises import scores
from glm_edu.exercises.scores import check_head, check_prediction, check_scores, ported_attention
from glm_edu.model.attention import attention_scores

# ---- solutions, written in other ways than the package's ----


def solved_scores(query, key, mask, c):
    products = torch.einsum("qd,kd->qk", query / c / query.shape[-1] ** 0.5, key)
    return torch.where(mask, products, torch.tensor(-10000.0, dtype=products.dtype)).float() * c


def solved_head(query, key, value, mask):
    s = query @ key.T / len(key[0]) ** 0.5
    s[~mask] = -math.inf
    weights = (s - s.amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True) @ value


def fused_head(query, key, value, mask):
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


@pytest.mark.parametrize("check, solution", [
    (check_scores, solved_scores), (check_head, solved_head), (check_head, fused_head),
])  # fmt: skip
def test_a_solution_passes(check, solution):
    assert_kind(check(solution), "right")


def test_the_right_numbers_are_those_of_the_6b():
    config = ModelConfig.preset("chatglm-6b")
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 2000, config.head_dim, generator=generator).half() for _ in range(2))
    variance = float((query[..., :500, :].float() @ key.float().mT).var())
    rows, key = query[..., :20, :].abs() + 1, key.abs() + 1  # nothing small: below 2**-14 float16 has fewer bits
    nothing = torch.zeros(1, 1, 20, 2000, dtype=torch.bool)
    hidden = float(attention_scores(rows, key, nothing, config.mask_value, config.num_layers).unique())
    plain = attention_scores(rows, key, None)
    every = [attention_scores(rows, key, None, layer=c) for c in range(1, config.num_layers + 1)]
    assert check_prediction(variance, hidden, sum(torch.equal(plain, other) for other in every)).ok


@pytest.mark.parametrize("check", [check_scores, check_head])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


def test_what_was_handed_over_is_not_written_yet():
    assert_kind(check_head(ported_attention), "not written yet")
    assert_kind(check_prediction(128, ..., 5), "not written yet")


# ---- wrong answers, written as a learner would write them ----


@pytest.mark.parametrize("numbers, kind", [
    ((11.3, -280000, 5), "that is the deviation"),
    ((1, -280000, 5), "one product"),
    ((16384, -280000, 5), "squared twice"),
    ((128, -10000, 5), "before the layer factor"),
    ((128, -270000, 5), "layers counted from 0"),
    ((128, 280000, 5), "the sign"),
    ((128, -10000 / 28, 5), "divided again"),
    ((128, -280000, 28), "as if numbers were exact"),
    ((128, -280000, 1), "layer 1 alone"),
    ((128, -280000, 4), "layer 1 is missing"),
    ((128, -280000, 6), "one too many"),
    ((128, -280000, 14), "every even number"),
    ((128, -280000, 0), "no layer"),
    ((128, -280000, 9), "another number"),
    ((128, -280000.4, 9.5), "another number"),
    ((float("nan"), -280000, 5), "not a whole number"),
    (("128", -280000, 5), "not a whole number"),
    ((True, -280000, 5), "not a whole number"),
])  # fmt: skip
def test_a_wrong_number_gets_its_hint(numbers, kind):
    assert_kind(check_prediction(*numbers), kind)


def score(body):
    """A learner's function from one expression of q, k, m, c."""
    return lambda query, key, mask, c: body(query, key, mask, c).float()


@pytest.mark.parametrize("answer, kind", [
    (score(lambda q, k, m, c: (q / (4 * c) @ k.T).masked_fill(~m, -1e4)), "c is not undone"),
    (score(lambda q, k, m, c: (q / 4 @ k.T).masked_fill(~m, -1e4)), "c is not used"),
    (score(lambda q, k, m, c: (q / (16 * c) @ k.T).masked_fill(~m, -1e4).float() * c), "divided by d"),
    (score(lambda q, k, m, c: (q / c @ k.T).masked_fill(~m, -1e4).float() * c), "not divided by sqrt(d)"),
    (score(lambda q, k, m, c: (q / (16 * c) ** 0.5 @ k.T).masked_fill(~m, -1e4).float() * c), "c under the root"),
    (score(lambda q, k, m, c: (q @ k.T / (4 * c)).masked_fill(~m, -1e4).float() * c), "divided after the product"),
    (score(lambda q, k, m, c: (q / (4 * c) @ k.T).masked_fill(~m, -1e4) * c), "multiplied in float16"),
    (score(lambda q, k, m, c: ((q / (4 * c) @ k.T).float() * c).masked_fill(~m, -1e4)), "hidden after c is undone"),
    (score(lambda q, k, m, c: (q / (4 * c) @ k.T).masked_fill(m, -1e4).float() * c), "True for hidden"),
    (score(lambda q, k, m, c: (q / (4 * c) @ k.T).float() * c), "nothing is hidden"),
    (score(lambda q, k, m, c: (q / (4 * c) @ k.T).masked_fill(~m, -100).float() * c), "another mistake"),
    (score(lambda q, k, m, c: q @ k.T.flip(1)), "another mistake"),
    (score(lambda q, k, m, c: q[:1] @ k.T), "the shape"),
    (lambda *_: 3, "not a tensor"),
    (lambda query, key, mask, c: query @ key, "it stops with an error"),
])  # fmt: skip
def test_wrong_scores_get_their_hint(answer, kind):
    assert_kind(check_scores(answer), kind)


def by_softmax(divide, hide=-math.inf, dim=-1):
    return lambda q, k, v, m: (q @ k.T / divide).masked_fill(~m, hide).softmax(dim) @ v


def without_the_largest(divide, of_the_table=False):
    def answer(query, key, value, mask):
        scores = query @ key.T / divide
        largest = scores.max() if of_the_table else scores.max(dim=1, keepdim=True).values
        weights = (scores - largest).exp() * mask
        return weights / weights.sum(1, keepdim=True) @ value

    return answer


@pytest.mark.parametrize("answer, kind", [
    (lambda q, k, v, m: (w := (q @ k.T / 4).exp() * m) / w.sum(-1, keepdim=True) @ v, "it still overflows"),
    (by_softmax(16), "still divided by d"),
    (by_softmax(1), "not divided at all"),
    (without_the_largest(4), "the largest of all, hidden ones too"),
    (without_the_largest(16), "the largest, and still divided by d"),
    (without_the_largest(4, of_the_table=True), "the largest of the whole table"),
    (lambda q, k, v, m: (q @ k.T / 4).softmax(-1) * m @ v, "masked after the softmax"),
    (lambda q, k, v, m: (q @ k.T / 4).softmax(-1) @ v, "the mask is lost"),
    (by_softmax(4, dim=0), "softmax over the queries"),
    (by_softmax(2), "another mistake"),
])  # fmt: skip
def test_a_wrong_head_gets_its_hint(answer, kind):
    assert_kind(check_head(answer), kind)


def test_known_mistakes_are_told_apart():
    assert_told_apart(scores.SCORES, scores._score_tries())
    heads = [replace(slip, wrong=scores._comparable(slip.wrong)) for slip in scores.HEADS]
    assert_told_apart(heads, scores._head_tries())
