"""The exercises of chapter 0: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from glm_edu.exercises.shapes import check_logits, check_shapes, check_split_heads, reported_logits

RIGHT = {
    "embedding": (3, 5, 64),
    "blocks.1.attention.query": (3, 4, 5, 16),
    "blocks.1.attention.key": (3, 2, 5, 16),
    "blocks.1.attention.probs": (3, 4, 5, 5),
    "blocks.1.feedforward.hidden": (3, 5, 112),
    "logits": (3, 5, 512),
}


def told(cases):
    """A test for each (id, wrong answer, kind, a word of the hint)."""
    return pytest.mark.parametrize("answer, kind, word", [case[1:] for case in cases], ids=[case[0] for case in cases])


# ---- 1. shapes ----


@pytest.mark.parametrize("kind_of_sequence", [tuple, list, torch.Size])
def test_the_right_shapes_pass(kind_of_sequence):
    verdict = check_shapes({name: kind_of_sequence(shape) for name, shape in RIGHT.items()})
    assert verdict.ok and verdict.kind == "right", verdict


STUBS = (dict.fromkeys(RIGHT), dict.fromkeys(RIGHT, ...), {}, ..., None, RIGHT | {"logits": None})


@pytest.mark.parametrize("stub", STUBS)
def test_shapes_not_written(stub):
    assert (check_shapes(stub).ok, check_shapes(stub).kind) == (False, "not written yet")


@pytest.mark.parametrize("answer", [list(RIGHT.values()), "shapes", 3])
def test_what_is_no_dict_is_told_so(answer):
    assert (check_shapes(answer).ok, check_shapes(answer).kind) == (False, "not a dict")


@pytest.mark.parametrize(
    "name, shape, kind, word",
    [
        ("embedding", torch.tensor([3, 5, 64]), "not a shape", "tuple of whole numbers"),
        ("embedding", torch.tensor([3, 5, 64]).numpy(), "not a shape", "tuple of whole numbers"),
        ("blocks.1.attention.key", (3, 4, 5, 16), "size of an axis", "4 is the heads"),
        ("blocks.1.attention.query", (3, 4, 5, 64), "size of an axis", "64 is the hidden size"),
        ("blocks.1.feedforward.hidden", (3, 5, 256), "size of an axis", "another column of the family"),
        ("blocks.1.attention.probs", (3, 4, 5, 16), "size of an axis", "16 is the width of one head"),
        ("logits", (3, 5, 64), "size of an axis", "64 is the hidden size"),
        ("embedding", (1, 5, 64), "size of an axis", "axis 0 of embedding counts the batch"),
        ("embedding", (3, 5, 63), "size of an axis", "no size of this model"),
        ("blocks.1.attention.query", (3, 5, 4, 16), "order of axes", "another order"),
        ("blocks.1.attention.query", (3, 5, 64), "number of axes", "4 axes"),
        ("embedding", (5, 64), "number of axes", "3 axes"),
        ("logits", 512, "not a shape", "tuple"),
        ("logits", "3 5 512", "not a shape", "tuple"),
        ("logits", (3, 5, 512.0), "not a shape", "tuple"),
    ],
)
def test_each_wrong_shape_is_told_its_kind(name, shape, kind, word):
    verdict = check_shapes(RIGHT | {name: shape})
    assert not verdict.ok and verdict.kind == kind
    assert name in verdict.hint and word in verdict.hint


# ---- 2. split heads ----


def solution_reshape(x, heads):
    b, s, h = x.shape
    return x.reshape(b, s, heads, h // heads).transpose(1, 2)


def solution_loop(x, heads):
    d = x.shape[-1] // heads
    return torch.stack([x[..., i * d : (i + 1) * d] for i in range(heads)], dim=1)


def solution_in_place(x, heads):
    out = solution_reshape(x, heads).clone()
    x.zero_()  # writes to its argument: the check must not notice
    return out


@pytest.mark.parametrize("solution", [solution_reshape, solution_loop, solution_in_place])
def test_right_heads_pass(solution):
    assert check_split_heads(solution).ok, check_split_heads(solution)


def stub(*given):
    raise NotImplementedError


@pytest.mark.parametrize("check", [check_split_heads, check_logits])
@pytest.mark.parametrize("answer", [stub, lambda *given: None, lambda *given: ...])
def test_functions_not_written(check, answer):
    assert (check(answer).ok, check(answer).kind) == (False, "not written yet")


WRONG_HEADS = [
    ("straight reshape", lambda x, n: x.reshape(x.shape[0], n, x.shape[1], -1), "shape right, tokens mixed", "memory"),
    ("strided", lambda x, n: rearrange(x, "b s (d n) -> b n s d", n=n), "elements dealt out like cards", "side"),
    ("reversed", lambda x, n: solution_reshape(x, n).flip(1), "heads in reverse", "first"),
    ("backwards", lambda x, n: solution_reshape(x, n).flip(2), "tokens in reverse", "backwards"),
    ("shared", lambda x, n: solution_reshape(x, n)[:, :1].expand(-1, n, -1, -1), "one head for all", "first"),
    ("rolled", lambda x, n: solution_reshape(x, n).roll(1, -1), "shape right, numbers moved", "x[0"),
    ("no transpose", lambda x, n: x.reshape(*x.shape[:2], n, -1), "the shape", "heads stand after"),
    ("width before tokens", lambda x, n: rearrange(x, "b s (n d) -> b n d s", n=n), "the shape", "last two axes"),
    ("width for heads", lambda x, n: rearrange(x, "b s (n d) -> b d s n", n=n), "the shape", "changed places"),
    ("heads first", lambda x, n: rearrange(x, "b s (n d) -> n b s d", n=n), "the shape", "before the batch"),
    ("nothing done", lambda x, n: x, "the shape", "not split"),
    ("batch lost", lambda x, n: solution_reshape(x, n)[0], "the shape", "[b n s d]"),
    ("numpy", lambda x, n: solution_reshape(x, n).numpy(), "not a tensor", "ndarray"),
    ("typo", lambda x, n: x.reshpe(1), "it stops with an error", "AttributeError"),
]


@told(WRONG_HEADS)
def test_each_wrong_split_is_told_its_kind(answer, kind, word):
    verdict = check_split_heads(answer)
    assert not verdict.ok and verdict.kind == kind, verdict
    assert word in verdict.hint


# ---- 3. logits by hand ----


def last(model, seen):
    return seen[f"blocks.{len(model.blocks) - 1}.output"]


def finish(model, x):
    return model.head(model.final_norm(x))


def solution_modules(model, seen):
    return finish(model, last(model, seen))


def solution_matrix(model, seen):
    return model.final_norm(list(seen.values())[-1]) @ model.head.weight.T


@pytest.mark.parametrize("solution", [solution_modules, solution_matrix])
def test_right_logits_pass(solution):
    assert check_logits(solution).ok, check_logits(solution)


def test_the_reported_code_is_told_that_nothing_is_mended_yet():
    assert (check_logits(reported_logits).ok, check_logits(reported_logits).kind) == (False, "not written yet")


def bare_norm(model, seen):
    x = last(model, seen)
    if model.final_norm.kind == "layernorm":
        return model.head(F.layer_norm(x, x.shape[-1:], eps=model.final_norm.eps))
    return model.head(F.rms_norm(x, x.shape[-1:], eps=model.final_norm.eps))


WRONG_LOGITS = [
    ("later norm", lambda m, seen: m.head(m.blocks[-1].post_attention_norm(last(m, seen))), "another norm", "a block"),
    ("input norm", lambda m, seen: m.head(m.blocks[0].input_norm(last(m, seen))), "another norm", "first norm"),
    ("bare norm", bare_norm, "norm without its weight", "weight"),
    ("by hand", lambda m, seen: m.head(F.layer_norm(last(m, seen), (64,))), "LayerNorm in every model", "centred"),
    ("other table", lambda m, seen: m.final_norm(last(m, seen)) @ m.embedding.weight.T, "another table", "embedding"),
    ("first block", lambda m, seen: finish(m, seen["blocks.0.output"]), "the wrong block", "first block"),
    ("no block", lambda m, seen: finish(m, seen["embedding"]), "the wrong block", "embedding"),
    ("block 2", lambda m, seen: finish(m, seen["blocks.2.output"]), "block 2 by name", "3 layers"),
    ("norm last", lambda m, seen: F.layer_norm(reported_logits(m, seen), (512,)), "the norm after the head", "order"),
    ("softmax", lambda m, seen: solution_modules(m, seen).softmax(-1), "probabilities, not logits", "softmax"),
    ("last token", lambda m, seen: solution_modules(m, seen)[:, -1], "the shape", "last token"),
    ("no batch", lambda m, seen: solution_modules(m, seen)[0], "the shape", "[b s v]"),
    ("twice", lambda m, seen: 2 * solution_modules(m, seen), "another mistake", "off by up to"),
    ("looked up", lambda m, seen: seen["logits"], "it stops with an error", "was not recorded"),
    ("a list", lambda m, seen: solution_modules(m, seen).tolist(), "not a tensor", "list"),
]


@told(WRONG_LOGITS)
def test_each_wrong_logits_are_told_their_kind(answer, kind, word):
    verdict = check_logits(answer)
    assert not verdict.ok and verdict.kind == kind, verdict
    assert word in verdict.hint


def test_no_hint_gives_the_solution_away():
    hints = [check_logits(answer).hint for _, answer, _, _ in WRONG_LOGITS]
    assert not any("final_norm" in hint for hint in hints)


def test_checks_leave_the_random_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_logits(solution_modules), check_shapes(RIGHT), check_split_heads(solution_loop)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_verdict_shows_itself_in_one_line():
    assert repr(check_split_heads(lambda x, n: x)).startswith("the shape: [2, 5, 12] is [b s h]")
