"""The exercises of chapter 5: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import math

import pytest
import torch
from verdicts import STUBS, assert_kind

from glm_edu import ModelConfig, Transformer, record
from glm_edu.exercises import CLOSE, residual, same
from glm_edu.exercises.residual import check_block, check_names, check_prediction, our_name, ported_block

ROOT_56 = 56**0.5


# ---- solutions, written in other ways than the package's ----


def solved_name(paper, layers):
    chain = ["embedding_norm"]
    ours = []
    for i in range(layers):
        chain += [f"layers.{i}.attention_norm", f"layers.{i}.feedforward_norm"]
        ours += [f"blocks.{i}.input_norm", f"blocks.{i}.post_attention_norm"]
    return dict(zip(chain, [*ours, "final_norm"], strict=True))[paper]


def solved_block(x, attention, feedforward, input_norm, post_attention_norm, num_layers):
    normed = input_norm(x)
    middle = ROOT_56 * normed + attention(normed)
    normed = post_attention_norm(middle)
    return ROOT_56 * normed + feedforward(normed)


def solved_block_in_float32(*arguments):
    return solved_block(*arguments).float()


def solved_block_in_place(x, attention, feedforward, input_norm, post_attention_norm, num_layers):
    x.copy_(input_norm(x))  # writes to its argument: the check itself must not notice
    x.copy_(post_attention_norm(x * 56**0.5 + attention(x)))
    return x * 56**0.5 + feedforward(x)


@pytest.mark.parametrize("check, solution", [
    (check_names, solved_name), (check_names, our_name), (check_block, solved_block),
    (check_block, solved_block_in_float32), (check_block, solved_block_in_place),
])  # fmt: skip
def test_a_solution_passes(check, solution):
    assert_kind(check(solution), "right")


def test_the_right_numbers_pass_and_are_those_of_the_6b():
    config = ModelConfig.preset("chatglm-6b")
    x = torch.nn.functional.layer_norm(torch.randn(config.hidden_size), (config.hidden_size,))
    assert check_prediction(float((config.alpha * x).norm()), round(config.alpha**2)).ok


def test_the_names_are_norms_that_the_network_has_in_the_order_in_which_it_calls_them():
    model = Transformer(ModelConfig.preset("tiny-chatglm")).eval()
    layers = model.config.num_layers
    with record(model) as seen:
        model(torch.tensor([[7, 8, 501, 504]]))
    called = [name for name in seen if name.endswith("_norm")]
    assert [our_name(paper, layers) for paper in residual._paper_names(layers)] == called


# ---- stubs ----


@pytest.mark.parametrize("check", [check_names, check_block])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


@pytest.mark.parametrize("numbers", [(..., ...), (None, None), (479, ...), (..., 56)])
def test_a_prediction_without_numbers_is_not_written_yet(numbers):
    assert check_prediction(*numbers).kind == "not written yet"


def test_a_block_as_it_was_handed_over_is_not_written_yet():
    assert check_block(ported_block).kind == "not written yet"


# ---- wrong answers, written as a learner would write them ----


@pytest.mark.parametrize("length, factor, kind", [
    (64, 56, "length, alpha is not applied"),
    (7.48, 56, "length, the length of norm(x) is missing"),
    (4096 * 7.483, 56, "length, no square root"),
    (56 * 64, 56, "length, alpha squared"),
    (175, 56, "length, the paper's alpha"),
    (600, 56, "length, another number"),
    (479, 7.48, "factor, one move of two"),
    (479, 14.97, "factor, added, not multiplied"),
    (479, 1 / 56, "factor, upside down"),
    (479, 1, "factor, cancelled"),
    (479, 50, "factor, another number"),
    ("479", 56, "not a number"),
    (True, 56, "not a number"),
    (10**400, 56, "length, another number"),
])  # fmt: skip
def test_a_wrong_number_gets_its_hint(length, factor, kind):
    assert_kind(check_prediction(length, factor), kind)


BETWEEN, NEXT, FIRST = "blocks.{i}.post_attention_norm", "blocks.{j}.input_norm", "blocks.0.input_norm"


def name(attention=BETWEEN, feedforward=NEXT, embedding=FIRST, end=1):
    """A learner's function from patterns: i is the layer, j the next one; ``end`` layers before the last is the end."""

    def answer(paper, layers):
        if paper == "embedding_norm":
            return embedding
        i = int(paper.split(".")[1])
        if paper.endswith("attention_norm"):
            return attention.format(i=i, j=i + 1)
        return "final_norm" if end and i >= layers - end else feedforward.format(i=i, j=i + 1)

    return answer


def first_digit(paper, layers):
    if "." not in paper:
        return "blocks.0.input_norm"
    i, part = int(paper[7]), paper.split(".")[-1]
    if part == "attention_norm":
        return f"blocks.{i}.post_attention_norm"
    return "final_norm" if i == layers - 1 else f"blocks.{i + 1}.input_norm"


def counted_from_28(paper, layers):
    if paper == "layers.27.feedforward_norm":
        return "final_norm"
    return name(end=0)(paper, layers)


def in_place(paper, layers):
    if paper == "embedding_norm":
        return "blocks.0.input_norm"
    part = {"attention_norm": "input_norm", "feedforward_norm": "post_attention_norm"}
    _, i, end = paper.split(".")
    return f"blocks.{i}.{part[end]}"


@pytest.mark.parametrize("answer, kind", [
    (in_place, "each norm before its own sub-layer"),
    (name("blocks.{i}.input_norm", "blocks.{i}.post_attention_norm", "final_norm", end=0), "paired name by name"),
    (name(BETWEEN, "blocks.{i}.input_norm", "final_norm", end=0), "paired name by name"),
    (name(end=0), "a block that is not there"),
    (name(feedforward="blocks.{i}.input_norm"), "the same block"),
    (counted_from_28, "the end counted from 28"),
    (name(end=2), "the end one layer early"),
    (name(attention="blocks.{j}.post_attention_norm"), "attention's norm is one block late"),
    (name(embedding="embedding_norm"), "the embedding's norm"),
    (name(embedding="final_norm"), "first and last exchanged"),
    (first_digit, "another mistake"),
    (lambda paper, layers: 7, "not a name"),
    (lambda paper, layers: torch.zeros(2).numpy(), "not a name"),
    (lambda paper: paper, "it stops with an error"),
    (lambda paper, layers: {}[paper], "it stops with an error"),
])  # fmt: skip
def test_a_wrong_name_gets_its_hint(answer, kind):
    assert_kind(check_names(answer), kind)


def test_an_unknown_mistake_is_told_by_the_first_name_that_differs_and_not_by_the_right_one():
    verdict = check_names(first_digit)
    assert "layers.10.attention_norm of 28 layers is not 'blocks.1.post_attention_norm'" in verdict.hint
    assert "blocks.10" not in verdict.hint


def block(alpha=lambda layers: ROOT_56, first="normed", second="normed", gain=1.0, end="output"):
    def answer(x, attention, feedforward, input_norm, post_attention_norm, num_layers):
        a = alpha(num_layers)
        normed = input_norm(x)
        middle = a * {"x": x, "normed": normed}[first] + gain * attention(normed)
        normed = post_attention_norm(middle)
        output = a * {"x": middle, "normed": normed}[second] + gain * feedforward(normed)
        return {"middle": middle, "output": output, "normed": normed, "list": [output], "one token": output[:, :1]}[end]

    return answer


@pytest.mark.parametrize("answer, kind", [
    (block(alpha=lambda n: math.sqrt(2 * n)), "alpha follows num_layers"),
    (block(second="x"), "the second residual starts before the norm"),
    (block(first="x", second="x"), "both residuals start before the norm"),
    (block(alpha=lambda n: 1), "no alpha"),
    (block(alpha=lambda n: 1, gain=ROOT_56), "alpha on the wrong term"),
    (block(alpha=lambda n: 56**0.25), "the paper's alpha"),
    (block(end="middle"), "half a block"),
    (block(end="normed"), "another mistake"),
    (block(alpha=lambda n: 56), "another mistake"),
    (block(end="list"), "not a tensor"),
    (block(end="one token"), "the shape"),
    (lambda *given: block()(*given).round().long(), "the kind of number"),
    (lambda *given: block()(*given) * float("nan"), "another mistake"),
    (lambda x: x, "it stops with an error"),
])  # fmt: skip
def test_a_wrong_block_gets_its_hint(answer, kind):
    assert_kind(check_block(answer), kind)


def test_no_two_slips_of_an_exercise_look_alike():
    calls = [(paper, layers) for layers in residual.LAYERS for paper in residual._paper_names(layers)]
    names = [tuple(slip.wrong(*call) for call in calls) for slip in residual.NAMES]
    assert len(set(names)) == len(names)
    tries = [(*residual._random_parts(), layers) for layers in (28, 3)]
    blocks = [[slip.wrong(*given) for given in tries] for slip in residual.BLOCKS]
    assert not any(same(a, b, CLOSE) for i, a in enumerate(blocks) for b in blocks[:i])


def test_a_hint_is_a_sentence_and_never_a_traceback():
    slips = [*residual.LENGTHS, *residual.FACTORS, *residual.NAMES, *residual.BLOCKS]
    assert all(slip.hint.rstrip()[-1] in ".?" for slip in slips)
