"""The exercises of chapter 11: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu import ModelConfig, Transformer
from glm_edu.exercises import whole
from glm_edu.exercises.whole import ASKED, COUNTS, LOGITS, SHORT, check_count, check_counts, check_logits_from

RIGHT = [right for right, _ in COUNTS.values()]


def count_by_building(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Transformer(config).parameters())


def test_the_counts_are_those_that_the_tools_printed():
    lora, rows, _ = RIGHT
    shared = whole.FIRST.parameter_count - whole.FIRST.vocab_size * whole.FIRST.hidden_size
    assert shared + lora == 6_176_956_416  # shibing624/textgen #40
    assert shared - rows * whole.FIRST.hidden_size == 6_172_532_736  # ssbuild/chatglm_finetuning #254


def test_solutions_pass():
    assert_kind(check_counts(*RIGHT), "right")
    assert_kind(check_count(lambda config: config.parameter_count), "right")
    assert_kind(check_logits_from(whole.logits_from), "right")


def test_the_count_of_the_check_is_that_of_a_built_network():
    for config in ASKED.values():
        assert whole.count_parameters(config) == config.parameter_count
    tiny = ModelConfig.preset("tiny-chatglm2")
    assert whole.count_parameters(tiny) == count_by_building(tiny)


@pytest.mark.parametrize("stub", STUBS)
@pytest.mark.parametrize("check", [check_count, check_logits_from])
def test_stubs_are_told_so(check, stub):
    assert_kind(check(stub), "not written yet")


def test_an_empty_prediction_is_told_so():
    assert_kind(check_counts(..., ..., ...), "not written yet")


@pytest.mark.parametrize("name", COUNTS)
def test_each_known_wrong_count_has_its_kind(name):
    at = list(COUNTS).index(name)
    for slip in COUNTS[name][1]:
        answers = [*RIGHT]
        answers[at] = slip.wrong
        assert_kind(check_counts(*answers), slip.kind)
    assert len({slip.wrong for slip in COUNTS[name][1]} | {RIGHT[at]}) == len(COUNTS[name][1]) + 1


@pytest.mark.parametrize("kind, hint, short", SHORT, ids=[kind for kind, _, _ in SHORT])
def test_each_part_left_out_has_its_kind(kind, hint, short):
    assert_kind(check_count(short), kind)


@pytest.mark.parametrize("answer, kind", [
    (lambda config: config.parameter_count / 1, "not a whole number"),
    (lambda config: config.parameter_count + 1, "another mistake"),
    (lambda config: config.parameter_count + (config.feedforward_bias - config.attention_output_bias)
     * config.num_layers * config.hidden_size, "another mistake"),
    (lambda config: 1 // 0, "it stops with an error"),
])  # fmt: skip
def test_other_answers(answer, kind):
    assert_kind(check_count(answer), kind)


@pytest.mark.parametrize("slip", LOGITS, ids=lambda slip: slip.kind)
def test_each_wrong_way_from_states_to_logits_has_its_kind(slip):
    assert_kind(check_logits_from(slip.wrong), slip.kind)


def test_wrong_ways_are_told_apart():
    assert_told_apart(LOGITS, whole.logits_tries())


def test_the_logits_of_the_check_are_the_models_own():
    for states, model in whole.logits_tries():
        marks = [model.config.gmask_id, model.config.bos_id] if model.config.gmask_id else []
        logits = model(torch.tensor([[10, 11, 12, *marks]]))
        torch.testing.assert_close(whole.logits_from(states, model), logits)
