"""The exercises of chapter 16: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from tiny import prompt, tiny
from verdicts import STUBS, assert_kind

from glm_edu.exercises import CLOSE, looking, same
from glm_edu.exercises.looking import PLACE, TOKENS, check_lens, check_reach, check_stack
from glm_edu.lens import read
from glm_edu.patching import patch_map

# ---- solutions, written in other ways than the package's ----


def lens_by_hand(stream, weight, bias, eps, head):
    rows = []
    for token in stream:
        centred = token - token.sum() / len(token)
        rows.append(head @ (centred / (centred.pow(2).sum() / len(token) + eps) ** 0.5 * weight + bias))
    return torch.stack(rows)


def lens_in_float32(stream, weight, bias, eps, head):
    norm = torch.nn.LayerNorm(len(weight), eps=eps)
    norm.weight.data, norm.bias.data = weight.float(), bias.float()
    return (norm(stream.float()) @ head.float().T).detach()


def stack_by_hand(streams, weight, bias, eps, head):
    streams -= streams.mean(-1, keepdim=True)  # writes to its argument: the check itself must not notice
    streams /= (streams.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return (streams * weight + bias) @ head.T


@pytest.mark.parametrize("check, solution", [
    (check_lens, lens_by_hand), (check_lens, lens_in_float32), (check_lens, looking.my_lens),
    (check_stack, stack_by_hand), (check_stack, lens_in_float32),
])  # fmt: skip
def test_a_solution_passes(check, solution):
    assert_kind(check(solution), "right")


def test_the_solution_is_the_lens_of_the_package():
    model = tiny("tiny-chatglm")
    stream = torch.randn(1, 4, 64)
    norm = model.final_norm
    ours = looking.my_lens(stream, norm.weight, norm.bias, norm.eps, model.head.weight)
    torch.testing.assert_close(ours, read(model, stream))


def test_the_right_counts_are_those_of_a_real_patch_map():
    counts = []
    for preset in ("tiny-chatglm", "tiny-chatglm2"):
        model = tiny(preset)
        ids, _ = prompt(model.config, TOKENS, answer=1)
        other = ids.clone()
        other[0, PLACE] = (other[0, PLACE] + 1 - 10) % 390 + 10
        moved = patch_map(model, ids, other, ["embedding", "blocks.0.output"], lambda logits: logits[:, -1, 7])
        counts.append((moved != 0).sum((1, 2)).tolist())
    assert counts[0][0] == counts[1][0]
    assert check_reach(counts[0][0], counts[0][1], counts[1][1]).ok


# ---- stubs ----


@pytest.mark.parametrize("check", [check_lens, check_stack])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


@pytest.mark.parametrize("numbers", [(..., ..., ...), (1, ..., 15), (1, 25, None)])
def test_a_prediction_without_numbers_is_not_written_yet(numbers):
    assert check_reach(*numbers).kind == "not written yet"


def head_alone(stream, weight, bias, eps, head):
    return stream @ head.T


def cached_scale(streams, weight, bias, eps, head):
    centred = streams - streams.mean(-1, keepdim=True)
    return (centred / (streams[-1].var(-1, keepdim=True, unbiased=False) + eps).sqrt() * weight + bias) @ head.T


def test_code_as_it_was_handed_over_is_not_written_yet():
    assert check_lens(head_alone).kind == "not written yet"
    assert check_stack(cached_scale).kind == "not written yet"


# ---- wrong answers, written as a learner would write them ----


@pytest.mark.parametrize("numbers, kind", [
    ((25, 25, 15), "attention comes later"),
    ((0, 25, 15), "nothing at all"),
    ((2, 25, 15), "another number"),
    ((1, 1, 15), "one block without attention"),
    ((1, 15, 15), "a causal mask"),
    ((1, 24, 15), "sop left out"),
    ((1, 25, 25), "a prefix mask"),
    ((1, 25, 14), "the token itself"),
    ((1, 25, 10), "the other side"),
    ((1, 25, 16), "one too many"),
    ((1, 25, 15.0), "not a whole number"),
])  # fmt: skip
def test_a_wrong_count_gets_its_hint(numbers, kind):
    assert_kind(check_reach(*numbers), kind)


def normed(centre="mean", scale="variance", axis=-1, unbiased=False, root=True, gain=1, shift=1, eps_inside=True):
    """A learner's norm and head."""

    def answer(stream, weight, bias, eps, head):
        x = stream - stream.mean(axis, keepdim=True) if centre == "mean" else stream
        if scale == "mean square":
            size = stream.pow(2).mean(axis, keepdim=True)
        elif scale == "variance":
            size = stream.var(axis, keepdim=True, unbiased=unbiased)
        else:
            size = torch.ones_like(stream[..., :1])
        if scale:
            size = (size + eps) if eps_inside else size
            size = (size.sqrt() if root else size) + (0 if eps_inside else eps)
        return (x / size * weight**gain + bias * shift) @ head.T

    return answer


@pytest.mark.parametrize("answer, kind", [
    (normed(centre=None, scale="mean square"), "nothing taken off"),
    (normed(centre=None), "the mean stays"),
    (normed(scale=None), "only centred"),
    (normed(root=False), "divided by the variance"),
    (normed(unbiased=True), "h - 1"),
    (normed(eps_inside=False), "eps outside the root"),
    (lambda x, w, b, eps, head: normed(unbiased=True)(x, w, b, 0.0, head), "h - 1, and no eps"),
    (lambda x, w, b, eps, head: normed()(x, w, b, 0.0, head), "eps is forgotten"),
    (normed(centre=None, scale="mean square", shift=0), "nothing taken off, no bias"),
    (normed(gain=0, shift=0), "weight and bias forgotten"),
    (normed(shift=0), "the bias is forgotten"),
    (normed(gain=0), "the weight is forgotten"),
    (normed(axis=-2), "mean over positions"),
    (lambda stream, *rest: normed()(stream, *rest).softmax(-1), "probabilities"),
    (lambda stream, weight, bias, eps, head: normed()(
        lens_by_hand(stream, weight, bias, eps, torch.eye(8).double()), weight, bias, eps, head), "normalized twice"),
    (lambda *given: normed()(*given)[:1], "the shape"),
    (lambda stream, weight, bias, eps, head: stream @ head, "it stops with an error"),
    (lambda *given: normed()(*given) + 1, "another mistake"),
])  # fmt: skip
def test_a_wrong_lens_gets_its_hint(answer, kind):
    assert_kind(check_lens(answer), kind)


def stacked(mean=lambda x: x, scale=lambda x: x, average=False, unbiased=False, gain=1, shift=1):
    """A learner's lens for all depths: which rows the mean and the scale come from."""

    def answer(streams, weight, bias, eps, head):
        size = scale(streams)
        size = 1 if size is None else size.var(-1, keepdim=True, unbiased=unbiased)
        size = size.mean(0) if average else size
        centred = streams - mean(streams).mean(-1, keepdim=True)
        return (centred / (size + eps) ** 0.5 * weight**gain + bias * shift) @ head.T

    return answer


@pytest.mark.parametrize("answer, kind", [
    (lambda x, w, b, eps, head: ((x - x.mean(-1, keepdim=True)) * w + b) @ head.T, "no scale"),
    (stacked(scale=lambda x: x[0]), "the first row's scale"),
    (lambda x, w, b, eps, head: (
        (x - x.mean(-1, keepdim=True)) / (x.var(unbiased=False) + eps) ** 0.5 * w + b
    ) @ head.T, "one variance for all numbers"),
    (stacked(average=True), "one scale for a token at all depths"),
    (stacked(mean=lambda x: x[-1], scale=lambda x: x[-1]), "the last row's mean as well"),
    (stacked(mean=lambda x: x[-1]), "the last row's mean"),
    (stacked(unbiased=True), "h - 1"),
    (stacked(gain=0, shift=0), "weight and bias forgotten"),
    (head_alone, "the head alone"),
    (stacked(scale=lambda x: x.roll(1, 0)), "another mistake"),
    (lambda *given: lens_in_float32(*given)[-1], "the shape"),
    (lambda *given: None, "not written yet"),
])  # fmt: skip
def test_a_wrong_stack_gets_its_hint(answer, kind):
    assert_kind(check_stack(answer), kind)


def test_an_unknown_mistake_is_told_by_its_place():
    assert "depth 0, token 0" in check_stack(stacked(scale=lambda x: x.roll(1, 0))).hint


def test_no_two_slips_of_an_exercise_look_alike():
    for slips, layers in ((looking.LENSES, ()), (looking.STACKS, (4,))):
        given = looking._given(layers, eps=0.1)
        results = [[slip.wrong(*given)] for slip in slips]
        assert not any(same(a, b, CLOSE) for i, a in enumerate(results) for b in results[:i])


def test_a_hint_is_a_sentence():
    slips = [*looking.LENSES, *looking.STACKS, *(slip for _, some in looking.REACH.values() for slip in some)]
    assert all(slip.hint.rstrip()[-1] in ".?" for slip in slips)
