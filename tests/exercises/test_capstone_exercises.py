"""The exercises of chapter 17: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind.

Mutations: with the lists of ``account`` swapped, or heads and thirds of ``split_per_head``, a solution here fails.
"""

import pytest
import torch
from verdicts import STUBS, assert_kind

from glm_edu.config import ModelConfig
from glm_edu.cost import weight_bytes
from glm_edu.exercises import capstone, same
from glm_edu.exercises.capstone import FILES, check_account, check_split, check_weights
from glm_edu.parity import Case

# ---- solutions, written in other ways than the package's ----


def account_by_hand(expected, found):
    lists = set(), [], ()
    for name in {*expected, *found}:
        if name not in found:
            lists[0].add(name)
        elif name not in expected:
            lists[1].append(name)
        elif tuple(expected[name]) != tuple(found[name]):
            lists = (*lists[:2], (*lists[2], name))
    return lists


def split_by_hand(fused, heads):
    d = len(fused) // heads // 3
    rows = [[fused[head * 3 * d + part * d + i] for head in range(heads) for i in range(d)] for part in range(3)]
    return torch.stack([torch.stack(part) for part in rows])


def test_solutions_pass():
    assert_kind(check_account(account_by_hand), "right")
    assert_kind(check_account(capstone.account), "right")
    assert_kind(check_split(split_by_hand), "right")
    assert_kind(check_split(capstone.split_per_head), "right")


def test_the_right_numbers_are_those_of_the_published_config():
    config = ModelConfig.preset("chatglm2-6b")
    assert check_weights(*(round(weight_bytes(config, 2, bits) / 1e9) for bits in (None, 8, 4))).ok


def test_the_split_is_that_of_the_official_file():
    from safetensors.torch import load_file

    from glm_edu import Transformer

    directory = Case("chatglm1_gmask").directory
    model = Transformer.from_pretrained(directory)
    fused = load_file(directory / "model.safetensors")["transformer.layers.0.attention.query_key_value.weight"]
    attention = model.blocks[0].attention
    ours = torch.stack([attention.query.weight, attention.key.weight, attention.value.weight])
    assert torch.equal(split_by_hand(fused, model.config.num_heads), ours)


# ---- stubs ----


@pytest.mark.parametrize("check", [check_account, check_split])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


def test_what_was_handed_over_is_not_written_yet():
    assert_kind(check_weights(..., ..., ...), "not written yet")
    assert_kind(check_weights(12, 7, None), "not written yet")
    assert_kind(check_account(lambda expected, found: ([], [], [])), "not written yet")
    assert_kind(check_split(lambda fused, heads: torch.stack(fused.chunk(3))), "not written yet")


# ---- wrong answers, written as a learner would write them ----


@pytest.mark.parametrize("numbers, kind", [
    ((25, 7, 4), "float32"),
    ((6, 7, 4), "one byte a number"),
    ((13, 7, 4), "another generation"),
    ((12, 6, 4), "embedding and head as well"),
    ((12, 12, 4), "float16"),
    ((12, 7, 3), "embedding and head as well"),
    ((12, 7, 7), "a byte a number"),
    ((12, 7, 5), "the tables twice"),
    ((12.5, 7, 4), "not a whole number"),
    ((12, 9, 4), "another number"),
])  # fmt: skip
def test_a_wrong_size_gets_its_hint(numbers, kind):
    assert_kind(check_weights(*numbers), kind)


def lists(missing=True, extra=True, shape=True):
    def answer(expected, found):
        return (
            [n for n in expected if n not in found] if missing else [],
            [n for n in found if n not in expected] if extra else [],
            [n for n in expected if n in found and expected[n] != found[n]] if shape else [],
        )

    return answer


def numel(expected, found):
    missing, extra, _ = account_by_hand(expected, found)
    return missing, extra, [n for n in found if n in expected and torch.zeros(expected[n]).numel() != torch.zeros(
        found[n]).numel()]  # fmt: skip


@pytest.mark.parametrize("answer, kind", [
    (lists(missing=False), "missing is not told"),
    (lists(extra=False), "extra is not told"),
    (lists(shape=False), "no shape is looked at"),
    (lambda expected, found: lists()(found, expected), "missing and extra have changed places"),
    (lambda *given: tuple(names[:1] for names in lists()(*given)), "only the first of each"),
    (lambda expected, found: (*lists()(expected, found)[:2], [n for n in expected if found.get(n) != expected[n]]),
     "missing is of the wrong shape, too"),
    (lambda expected, found: (*lists()(expected, found)[:2], [n for n in found if expected.get(n) != found[n]]),
     "extra is of the wrong shape, too"),
    (numel, "numbers are counted, not axes"),
    (lambda expected, found: list(expected), "not three lists"),
    (lambda expected, found: expected["nothing"], "it stops with an error"),
    (lambda expected, found: ([*expected], [*found], []), "another mistake"),
])  # fmt: skip
def test_a_wrong_comparison_gets_its_hint(answer, kind):
    assert_kind(check_account(answer), kind)


def per_head(fused, heads, order=(0, 1, 2)):
    grid = fused.unflatten(0, (heads, 3, -1))  # n 3 d h
    return torch.stack([grid[:, part].flatten(0, 1) for part in order])


@pytest.mark.parametrize("answer, kind", [
    (lambda fused, heads: torch.stack([fused[i::3] for i in range(3)]), "every third row"),
    (lambda fused, heads: torch.stack([p.unflatten(0, (heads, -1)).transpose(0, 1).flatten(0, 1)
                                       for p in per_head(fused, heads)]), "heads mixed"),
    (lambda fused, heads: per_head(fused, heads, (2, 1, 0)), "value, key, query"),
    (lambda fused, heads: per_head(fused, heads, (0, 2, 1)), "key and value have changed places"),
    (lambda fused, heads: per_head(fused, len(fused) // 3 // heads), "n is taken for d"),
    (lambda fused, heads: fused.unflatten(0, (heads, 3, -1))[0].repeat(1, heads, 1), "the first head alone"),
    (lambda fused, heads: per_head(fused, heads)[0], "the shape"),
    (lambda fused, heads: per_head(fused, heads) + 1, "another mistake"),
])  # fmt: skip
def test_a_wrong_split_gets_its_hint(answer, kind):
    assert_kind(check_split(answer), kind)


def test_no_two_slips_of_an_exercise_look_alike():
    tries = [capstone._fused(2, 3), capstone._fused(4, 2)]
    splits = [[slip.wrong(*given) for given in tries] for slip in capstone.SPLITS]
    assert not any(same(a, b) for i, a in enumerate(splits) for b in splits[:i])
    accounts = [capstone._sorted(slip.wrong(*given) for given in FILES) for slip in capstone.ACCOUNTS]
    assert all(a not in accounts[:i] for i, a in enumerate(accounts))
    slips = [*capstone.SPLITS, *capstone.ACCOUNTS, *(s for _, some in capstone.WEIGHTS.values() for s in some)]
    assert all(slip.hint.rstrip()[-1] in ".?" for slip in slips)
