"""The exercises of chapter 1: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
from verdicts import STUBS, assert_kind

from glm_edu.exercises import tokens
from glm_edu.exercises.tokens import check_counts, check_prompt, check_row
from glm_edu.parity.tokens import RULES, made_tokenizer, recorded

# ---- what a learner may hand in ----


def prompt_in_a_loop(history, query):
    if not history:
        return query
    text = ""
    for number, (asked, answer) in enumerate(history):
        text += "[Round {}]\n问：{}\n答：{}\n".format(number, asked, answer)  # noqa: UP032
    return text + "[Round {}]\n问：{}\n答：".format(len(history), query)  # noqa: UP032


def row_in_a_loop(messages, encode, ids):
    row = [ids["[gMASK]"], ids["sop"]]
    for message in messages:
        row.append(ids["<|" + message["role"] + "|>"])
        row += encode("\n")
        row += encode(message["content"])
    row.append(ids["<|assistant|>"])
    return row


def test_solutions_pass_and_are_the_recorded_prompts():
    assert_kind(check_prompt(prompt_in_a_loop), "right")
    assert_kind(check_row(row_in_a_loop), "right")
    for case in recorded(RULES)["chat_prompt"]:
        history = [(asked, answer) for asked, answer in case["history"]]
        assert prompt_in_a_loop(history, case["query"]) == case["prompt"]
        assert tokens.prompt_text(history, case["query"]) == case["prompt"]


def test_the_counts_are_those_of_the_tokenizer():
    third, said = made_tokenizer("chatglm3-6b"), {"content": "你好"}
    chat = [{"role": ("user", "assistant")[i % 2], **said} for i in range(tokens.MESSAGES)]
    ids = third.encode_chat(chat)
    special = sum(map(third.is_special, ids))
    assert_kind(check_counts(special, len(ids)), "right")
    assert "special" in check_counts(special - 1, len(ids)).hint
    assert check_counts(special, len(ids) - tokens.MESSAGES).kind == "one id a message is missing"
    assert check_counts(..., len(ids)).kind == check_counts(special, None).kind == "not written yet"


@pytest.mark.parametrize("check", [check_prompt, check_row])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


# ---- wrong answers, written as a learner would write them ----


def rounds_from_1(history, query):
    text = "".join(f"[Round {i}]\n问：{q}\n答：{a}\n" for i, (q, a) in enumerate(history, 1))
    return f"{text}[Round {len(history) + 1}]\n问：{query}\n答：" if history else query


def always_a_header(history, query):
    text = "".join(f"[Round {i}]\n问：{q}\n答：{a}\n" for i, (q, a) in enumerate(history))
    return f"{text}[Round {len(history)}]\n问：{query}\n答："


def second_generation(history, query):
    text = "".join(f"[Round {i}]\n\n问：{q}\n\n答：{a}\n\n" for i, (q, a) in enumerate(history, 1))
    return f"{text}[Round {len(history) + 1}]\n\n问：{query}\n\n答："


WRONG_PROMPTS = {
    rounds_from_1: "rounds from 1", always_a_header: "a header on the first question",
    second_generation: "that is ChatGLM2-6B's prompt",
    lambda h, q: prompt_in_a_loop(h, q).replace("：", ":"): "the narrow colon",
    lambda h, q: prompt_in_a_loop(h, q).removesuffix("答："): "nobody is asked to answer",
    lambda h, q: prompt_in_a_loop(h, q) + "[gMASK]<sop>": "special tokens in the text",
    lambda h, q: q: "the history is left out",
    lambda h, q: 3: "not a text", lambda h, q: "?": "another mistake",
}  # fmt: skip


@pytest.mark.parametrize("answer, kind", WRONG_PROMPTS.items())
def test_a_wrong_prompt_gets_the_hint_of_its_kind(answer, kind):
    assert_kind(check_prompt(answer), kind)


def as_handed_over(messages, encode, ids):
    row = [ids["[gMASK]"], ids["sop"]]
    for message in messages:
        row.append(ids[f"<|{message['role']}|>"])
        row += encode("\n" + message["content"])
    return [*row, ids["</s>"]]


WRONG_ROWS = {
    as_handed_over: "not written yet",
    lambda m, e, ids: [*as_handed_over(m, e, ids)[:-1], ids["<|assistant|>"]]: "header and content in one go",
    lambda m, e, ids: [*row_in_a_loop(m, e, ids)[:-1], ids["</s>"]]: "the answer is over before it begins",
    lambda m, e, ids: row_in_a_loop(m, e, ids)[:-1]: "the last role is missing",
    lambda m, e, ids: [*row_in_a_loop(m, e, ids), ids["</s>"]]: "both ends",
    lambda m, e, ids: [*row_in_a_loop(m, e, ids), *e("\n")]: "an open header",
    lambda m, e, ids: [*row_in_a_loop(m, e, ids)[2:], ids["[gMASK]"], ids["sop"]]: "the place of ChatGLM-6B",
    lambda m, e, ids: tuple(row_in_a_loop(m, e, ids)): "not a list", lambda m, e, ids: [1]: "another mistake",
}  # fmt: skip


@pytest.mark.parametrize("answer, kind", WRONG_ROWS.items())
def test_a_wrong_row_gets_the_hint_of_its_kind(answer, kind):
    assert_kind(check_row(answer), kind)


@pytest.mark.parametrize("slips, tries", [(tokens.PROMPTS, tokens.CHATS), (tokens.MENDS, tokens.ROWS)])
def test_no_two_mistakes_look_alike(slips, tries):
    made = [[slip.wrong(*given) for given in tries] for slip in slips]
    assert all(a != b for i, a in enumerate(made) for b in made[:i])
    assert len({slip.kind for slip in slips}) == len(slips)


def test_an_unknown_mistake_is_told_by_the_first_place_that_differs():
    assert check_prompt(lambda h, q: prompt_in_a_loop(h, q)[:5]).hint.startswith("chat 2: yours has 5 entries")
    assert "chat 1: the first that differs is number 0, 1" in check_row(lambda m, e, ids: [1, 2]).hint
