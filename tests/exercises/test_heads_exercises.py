"""The exercises of chapter 10: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu import ModelConfig, Transformer
from glm_edu.cost import cache_bytes
from glm_edu.exercises import heads
from glm_edu.exercises.heads import check_cache, check_fold, check_rows, to_blocks
from glm_edu.model.attention import eager_attention
from glm_edu.parity import Case

# ---- what a learner may hand in: solutions written in other ways than the package's ----


def rows_in_loops(fused, heads):
    d = len(fused) // (3 * heads)
    order = [(3 * head + part) * d + row for part in range(3) for head in range(heads) for row in range(d)]
    return fused[order]


def rows_by_parts(fused, heads):
    return torch.cat([torch.cat(fused.chunk(3 * heads)[part::3]) for part in range(3)])


def step_in_loops(query, key, value):
    each, out = query.shape[1] // key.shape[1], torch.zeros_like(query)
    for head in range(query.shape[1]):
        keys, values = key[:, head // each], value[:, head // each]
        weights = (query[:, head] @ keys.transpose(1, 2) * query.shape[-1] ** -0.5).softmax(-1)
        out[:, head] = weights @ values
    return out


def step_by_expanding(query, key, value):
    return eager_attention(query, key, value, None)


@pytest.mark.parametrize("solution", [rows_in_loops, rows_by_parts, to_blocks])
def test_right_rows_pass(solution):
    assert_kind(check_rows(solution), "right")


@pytest.mark.parametrize("solution", [step_in_loops, step_by_expanding])
def test_a_right_step_passes(solution):
    assert_kind(check_fold(solution), "right")


def test_the_right_number_is_what_the_package_counts():
    sizes = dict(num_layers=80, num_heads=64, num_kv_groups=8, head_dim=128, hidden_size=8192, feedforward_size=28672)
    config = ModelConfig(**{**vars(ModelConfig.preset("llama-7b")), **sizes})
    right = cache_bytes(config, 1) / 1024
    assert check_cache(int(right)).ok and right == int(right)
    assert [n for n in range(3000) if check_cache(n).ok] == [int(right)]


def test_the_right_order_is_that_of_the_official_files():
    """What chatglm1 files hold head by head becomes the order in which the package reads a chatglm2 file."""
    case = Case("chatglm1_gmask")
    from safetensors.torch import load_file

    file = load_file(case.directory / "model.safetensors")
    block = Transformer.from_pretrained(case.directory).blocks[1].attention
    for kind in ("weight", "bias"):
        fused = file[f"transformer.layers.1.attention.query_key_value.{kind}"]
        ours = torch.cat([getattr(getattr(block, name), kind) for name in ("query", "key", "value")])
        assert torch.equal(to_blocks(fused, 4), ours.detach())


# ---- stubs ----


@pytest.mark.parametrize("check", [check_rows, check_fold])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


def test_an_unanswered_count_is_not_written_yet():
    assert_kind(check_cache(...), "not written yet")


# ---- wrong answers, written as a learner would write them ----


def untouched(fused, heads):
    return fused


def other_direction(fused, heads):
    d = len(fused) // (3 * heads)
    return torch.cat([fused.chunk(3)[part][head * d : (head + 1) * d] for head in range(heads) for part in range(3)])


def every_third_row(fused, heads):
    return torch.cat([fused[part::3] for part in range(3)])


def dealt_out(fused, heads):
    d = len(fused) // (3 * heads)
    order = [(3 * head + part) * d + row for part in range(3) for row in range(d) for head in range(heads)]
    return fused[order]


def value_first(fused, heads):
    query, key, value = rows_in_loops(fused, heads).chunk(3)
    return torch.cat([query, value, key])


def backwards(fused, heads):
    return torch.cat(rows_in_loops(fused, heads).chunk(3)[::-1])


def last_head_first(fused, heads):
    return torch.cat([torch.cat(part.chunk(heads)[::-1]) for part in rows_in_loops(fused, heads).chunk(3)])


WRONG_ROWS = {
    untouched: "nothing moved", other_direction: "the way back", every_third_row: "row by row",
    dealt_out: "heads dealt out like cards", value_first: "value before key", backwards: "the three backwards",
    last_head_first: "heads in reverse",
}  # fmt: skip


@pytest.mark.parametrize("answer, kind", WRONG_ROWS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_wrong_rows_get_the_hint_of_their_kind(answer, kind):
    assert_kind(check_rows(answer), kind)


def as_handed_over(query, key, value):  # the function that the chapter asks you to mend
    (b, n, _, d), g = query.shape, key.shape[1]
    folded = query.reshape(b, n // g, g, d).transpose(1, 2)
    scores = folded @ key.transpose(-1, -2) / d**0.5
    mixed = scores.softmax(-1) @ value
    return mixed.transpose(1, 2).reshape(query.shape)


def half_mended(query, key, value):
    (b, n, _, d), g = query.shape, key.shape[1]
    mixed = (query.reshape(b, g, n // g, d) @ key.transpose(-1, -2) / d**0.5).softmax(-1) @ value
    return mixed.transpose(1, 2).reshape(query.shape)


def other_half_mended(query, key, value):
    (b, n, _, d), g = query.shape, key.shape[1]
    folded = query.reshape(b, n // g, g, d).transpose(1, 2)
    return ((folded @ key.transpose(-1, -2) / d**0.5).softmax(-1) @ value).reshape(query.shape)


def grouped(query, key):
    return query.reshape(query.shape[0], key.shape[1], -1, query.shape[3]) @ key.transpose(-1, -2)


def not_divided(query, key, value):
    return (grouped(query, key).softmax(-1) @ value).reshape(query.shape)


def divided_by_d(query, key, value):
    return ((grouped(query, key) / query.shape[-1]).softmax(-1) @ value).reshape(query.shape)


def softmax_over_heads(query, key, value):
    return ((grouped(query, key) / query.shape[-1] ** 0.5).softmax(-2) @ value).reshape(query.shape)


def first_group_only(query, key, value):
    return step_in_loops(query, key[:, :1], value[:, :1])


def i_modulo_g(query, key, value):  # the mistake that the chapter plants, in a function of the reader's own
    each = query.shape[1] // key.shape[1]
    return eager_attention(query, key.repeat(1, each, 1, 1), value.repeat(1, each, 1, 1), None)


WRONG_STEPS = {
    as_handed_over: "not written yet", i_modulo_g: "not written yet", half_mended: "folded right, unfolded wrong",
    other_half_mended: "folded wrong, unfolded right", not_divided: "scores not divided",
    divided_by_d: "scores divided by d", softmax_over_heads: "softmax over the heads",
    first_group_only: "every head reads the first group",
}  # fmt: skip


@pytest.mark.parametrize("answer, kind", WRONG_STEPS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_a_wrong_step_gets_the_hint_of_its_kind(answer, kind):
    assert_kind(check_fold(answer), kind)


def test_the_step_as_handed_over_is_right_where_the_chapter_says_so():
    for given in heads.FOLDS:
        groups, n = given[1].shape[1], given[0].shape[1]
        same = torch.allclose(as_handed_over(*given), step_in_loops(*given), atol=1e-5)
        assert same == (groups in (1, n))


WRONG_KIB = {
    "heads in place of groups": 2 * 80 * 64 * 128 * 2 // 1024,
    "a factor of two is missing": 80 * 8 * 128 * 2 // 1024,
    "bytes, not KiB": 2 * 80 * 8 * 128 * 2,
    "one layer": 2 * 8 * 128 * 2 // 1024,
    "four bytes a number": 2 * 80 * 8 * 128 * 4 // 1024,
    "one group": 2 * 80 * 128 * 2 // 1024,
    "the query is counted": 3 * 80 * 8 * 128 * 2 // 1024,
}


@pytest.mark.parametrize("kind, count", WRONG_KIB.items())
def test_a_wrong_count_gets_the_hint_of_its_kind(kind, count):
    assert check_cache(count).kind == kind


# ---- what no known mistake makes, and the checks themselves ----


def test_an_unknown_mistake_is_told_by_the_first_place_that_differs():
    def swapped(fused, heads):
        rows = to_blocks(fused, heads)
        rows[[0, 1]] = rows[[1, 0]]
        return rows

    def nudged(query, key, value):
        out = step_in_loops(query, key, value)
        out[1, -1, 0, 2] = float("nan")
        return out

    assert check_rows(swapped).hint == "with 2 heads of 5, your row 0 is row 1 of the file; it should be row 0."
    assert "row 0 is row nan of the file" in check_rows(lambda fused, heads: fused * float("nan")).hint
    assert check_fold(nudged).hint.startswith("with 8 heads and 2 groups, element 2 of head 7 is NaN; it should be ")


@pytest.mark.parametrize("slips, tries", [(heads.ORDERS, heads.ROWS), (heads.STEPS, heads.FOLDS)])
def test_no_two_mistakes_look_alike_on_the_inputs(slips, tries):
    assert_told_apart(slips, tries)
