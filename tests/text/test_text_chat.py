"""chat(): the pieces are the answer, the defaults are official, and what cannot be answered says so at once.

Mutations that must fail here: a stop token shown; the last token dropped; held-back text lost at the end, or shown too
early; one new token too many for the room; another generation's sampling; the messages of one kind of chat taken by
another.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tiny import tiny

from glm_edu import Transformer, chat, load_tokenizer
from glm_edu.errors import InputError
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.chatglm2 import ChatGLM2Tokenizer, ChatGLM3Tokenizer

chat_file = importlib.import_module("glm_edu.text.chat")  # glm_edu.text.chat itself is the function
HELLO = [{"role": "user", "content": "你好"}]
ENDS = dict(bos_id=8, eos_ids=(9,), mask_id=4, gmask_id=5)  # of the stand-in


@pytest.fixture(scope="module")
def first() -> Transformer:
    """A network with the ids of the stand-in tokenizer; its answers are nonsense of all kinds of pieces."""
    return tiny("tiny-chatglm", **ENDS)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function that makes the next chat answer with these ids, and returns what generate.stream was called with."""

    def script(*ids: int) -> dict[str, Any]:
        given: dict[str, Any] = {}

        def steps(model: Transformer, input_ids: torch.Tensor, **settings: Any) -> Iterator[torch.Tensor]:
            given.update(settings, input_ids=input_ids)
            return (torch.tensor([i]) for i in ids)

        monkeypatch.setattr(chat_file, "new_tokens", steps)
        return given

    return script


# the pieces are the answer


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("unchecked")  # shapes are checked elsewhere; 240 steps of checks take 6 s
def test_pieces_put_together_are_the_answer(first: Transformer, standin: ChatGLMTokenizer, seed: int) -> None:
    settings: dict[str, Any] = dict(max_new_tokens=40, temperature=2.0, top_p=1.0, top_k=0)
    pieces = list(chat(first, standin, HELLO, generator=torch.Generator().manual_seed(seed), **settings))
    whole = chat(first, standin, HELLO, stream=False, generator=torch.Generator().manual_seed(seed), **settings)
    assert "".join(pieces) == whole and len(pieces) > 5 and all(pieces)


PARTS = [
    "你好",
    "好",
    ",",
    "!",
    "a",
    " ",
    "\n",
    "  ",
    "👋",
    "龘",
    "[[训练时间]]",
    "[[训",
    "<n>",
    "<",
    "n>",
    "<|tab|>",
    "\t",
]


@example(parts=["a", "<", "n>", "b"], odd=[])  # spells a newline
@example(parts=["a", "[[训", "练时间]]", "好"], odd=[])
@example(parts=["a", ",", "[[训", "练时间]]", ",", "好"], odd=[])
@example(parts=["好", " ", ",", " ", "a"], odd=[333, 252])  # and half of a character
@given(parts=st.lists(st.sampled_from(PARTS), max_size=10), odd=st.lists(st.integers(0, 500), max_size=4))
def test_what_was_shown_never_changes(standin: ChatGLMTokenizer, parts: list[str], odd: list[int]) -> None:
    ids = [i for part in parts for i in standin.encode(part, add_special_tokens=False, dummy_prefix=False)] + odd
    whole = standin.answer(ids)
    assert all(whole.startswith(standin.answer(ids[:end], finished=False)) for end in range(len(ids) + 1))


@example(parts=["\n", "a ", "<|assistant|>", "x ", "\n", "b"])
@example(parts=["\n", "a", "<|", "assistant", "|>", "x", "\n", "b"])
@given(parts=st.lists(st.sampled_from([*PARTS, "\n", "<|assistant|>", "x "]), max_size=10))
def test_what_was_shown_never_changes_with_headers(third: ChatGLM3Tokenizer, parts: list[str]) -> None:
    ids: list[int] = []
    for part in parts:
        special = third.special_ids.get(part)
        ids += third.encode(part, False, dummy_prefix=False) if special is None else [special]
    whole = third.answer(ids)
    assert all(whole.startswith(third.answer(ids[:end], finished=False)) for end in range(len(ids) + 1))


def test_a_character_of_several_tokens_comes_at_once(
    first: Transformer, standin: ChatGLMTokenizer, scripted: Callable
) -> None:
    ids = standin.encode("好👋a", add_special_tokens=False)
    scripted(*ids, standin.eop_id)
    assert list(chat(first, standin, HELLO)) == ["好", "👋", "a"]


def test_a_mark_is_held_back_until_its_neighbour_is_known(
    first: Transformer, standin: ChatGLMTokenizer, scripted: Callable
) -> None:
    you, comma, letter, newline = (
        standin.encode(text, False, dummy_prefix=False)[0] for text in ("好", ",", "a", "\n")
    )
    scripted(letter, comma, you, comma, letter, newline, comma, newline, standin.eop_id)
    assert list(chat(first, standin, HELLO)) == ["a", "，好", "，a", "\n,"]


def test_the_last_token_is_kept_where_the_room_ends(
    first: Transformer, standin: ChatGLMTokenizer, scripted: Callable
) -> None:
    scripted(*standin.encode("你好", add_special_tokens=False))  # no stop token: the official code loses 好 here
    assert chat(first, standin, HELLO, stream=False) == "你好"


def test_each_stop_token_ends_and_leaves_no_text(tokenizer_model: Path, scripted: Callable) -> None:
    model, third = _network(65024), ChatGLM3Tokenizer(tokenizer_model)
    ids = third.encode("\n 你好", add_special_tokens=False)
    for end in (2, 64795, 64797):
        scripted(*ids, end, *ids)
        assert chat(model, third, HELLO, stream=False) == "你好"


def test_a_row_without_a_token_leaves_no_text(
    first: Transformer, standin: ChatGLMTokenizer, scripted: Callable
) -> None:
    hello = standin.encode("你好", add_special_tokens=False)
    scripted(505, *hello, 511, standin.eop_id)  # the network has 512 rows, the tokenizer 501 tokens
    assert chat(first, standin, HELLO, stream=False) == "你好"


# settings


def test_the_defaults_are_official(
    first: Transformer, standin: ChatGLMTokenizer, second: ChatGLM2Tokenizer, scripted: Callable
) -> None:
    asked = scripted(9)
    list(chat(first, standin, HELLO))
    assert (asked["temperature"], asked["top_p"], asked["top_k"]) == (0.95, 0.7, 50)
    assert asked["stop_ids"] == (9,) and asked["input_ids"].tolist() == [standin.encode("你好")]
    asked = scripted(2)
    list(chat(_network(65024), second, HELLO))
    assert (asked["temperature"], asked["top_p"], asked["top_k"]) == (0.8, 0.8, 50)


def test_what_is_asked_for_wins(first: Transformer, standin: ChatGLMTokenizer, scripted: Callable) -> None:
    asked, source = scripted(9), torch.Generator()
    list(chat(first, standin, HELLO, max_new_tokens=3, temperature=0.0, top_p=1.0, top_k=0, generator=source))
    assert (asked["temperature"], asked["top_p"], asked["top_k"], asked["max_new_tokens"]) == (0.0, 1.0, 0, 3)
    assert asked["generator"] is source


@pytest.mark.parametrize(
    ("positions", "new"), [(6, 3), (256, 253), (4096, 2044)]
)  # room, then what the official chat allows
def test_an_answer_has_the_room_that_is_left(
    standin: ChatGLMTokenizer, scripted: Callable, positions: int, new: int
) -> None:
    asked = scripted(9)
    model = tiny("tiny-chatglm", max_positions=positions, **ENDS)
    list(chat(model, standin, HELLO))  # a prompt of 4 tokens
    assert asked["max_new_tokens"] == new
    if positions > 2048:  # a prompt that is past the official length has what the model has
        list(chat(model, standin, [{"role": "user", "content": "好" * 3000}]))
        assert asked["max_new_tokens"] == positions + 1 - 3003


@pytest.mark.usefixtures("unchecked")
def test_the_room_can_be_filled_to_the_last_position(standin: ChatGLMTokenizer) -> None:
    model = tiny("tiny-chatglm", max_positions=6, **ENDS)
    assert list(chat(model, standin, HELLO, temperature=0.0))
    with pytest.raises(InputError, match="max_new_tokens may be 3"):
        chat(model, standin, HELLO, max_new_tokens=4)


def test_ctrl_c_leaves_everything_as_it_was(first: Transformer, standin: ChatGLMTokenizer) -> None:
    def ask() -> Iterator[str]:
        return chat(first, standin, messages, max_new_tokens=12, generator=torch.Generator().manual_seed(1))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    messages = [dict(message) for message in HELLO]
    before = list(ask())
    pieces = ask()
    next(pieces)
    handle = first.blocks[1].register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(pieces)
    handle.remove()
    assert list(pieces) == [] and messages == HELLO  # it has ended
    assert list(ask()) == before


# what cannot be answered


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "at least one message"),
        ("你好", r'\[\{"role": "user", "content": "Hello"\}\]'),
        (HELLO[0], "should be a list"),
        (["你好"], r"messages\[0\] is a str"),
        ([{"role": "user"}], r"messages\[0\]\['content'\] should be a text, not None"),
        ([{"role": None, "content": "a"}], r"messages\[0\]\['role'\] should be a text"),
        ([{"role": "user", "content": "a", "metadata": 1}], r"\['metadata'\] should be a text"),
        ([{"role": "human", "content": "a"}], "of role 'human'; this model was made for user, assistant"),
        ([{"role": "system", "content": "a"}, *HELLO], "'system'.*put it in front of the first message of the user"),
        ([{"role": "assistant", "content": "a"}, *HELLO], "a chat starts with user"),
        ([*HELLO, {"role": "assistant", "content": "a"}], "The last message is of role assistant"),
        ([*HELLO, *HELLO], r"messages\[1\] is of role user; user and assistant take turns here, so assistant"),
        ([{"role": "user", "content": " \n"}], "nothing to answer"),
        ([{"role": "user", "content": "\ud83d"}], "half of a surrogate pair, at 0"),
    ],
)
def test_messages_that_are_no_chat_are_refused_at_once(
    first: Transformer, standin: ChatGLMTokenizer, messages: Any, said: str, unchecked: None
) -> None:
    with pytest.raises(InputError, match=said):
        chat(first, standin, messages)  # nothing is iterated here


def test_a_chat_of_roles_takes_other_messages(third: ChatGLM3Tokenizer) -> None:
    system = {"role": "system", "content": "a"}
    assert third.encode_chat([system, *HELLO, {"role": "observation", "content": "1"}])
    for messages, said in (
        ([{"role": "observation", "content": "1"}], r"messages\[0\] is of role observation"),
        ([system], "The last message is of role system"),
        ([{"role": "tool", "content": "1"}], "of role 'tool'; this model was made for system, user, assistant, obs"),
    ):
        with pytest.raises(InputError, match=said):
            third.encode_chat(messages)


def test_a_prompt_that_is_too_long_says_how_much(first: Transformer, standin: ChatGLMTokenizer) -> None:
    with pytest.raises(
        InputError, match="The prompt has 303 tokens, and this model was made for 256; drop at least 47"
    ):
        chat(first, standin, [{"role": "user", "content": "好" * 300}], max_new_tokens=5)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"max_new_tokens": -1}, "-1 must be"),
    ],
)
def test_settings_out_of_range_are_refused(
    first: Transformer, standin: ChatGLMTokenizer, setting: dict, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        chat(first, standin, HELLO, **setting)


@pytest.mark.parametrize(("rows", "end"), [(512, 2), (65024, 9)], ids=["too few rows", "another end"])
def test_a_tokenizer_of_another_model_is_refused(second: ChatGLM2Tokenizer, rows: int, end: int) -> None:
    said = rf"64794 ids and stops at \[2\]; the model has {rows} rows and stops at \[{end}\]. They do not belong"
    with pytest.raises(InputError, match=said):
        chat(_network(rows, eos_ids=(end,)), second, HELLO)


# Tang GLM, and a tokenizer.json


def test_tang_glm_goes_on_with_one_text() -> None:
    model, tokenizer = Transformer.from_pretrained("tang-glm"), load_tokenizer("tang-glm")
    verse = chat(model, tokenizer, [{"role": "user", "content": "白日依山尽，"}], stream=False, max_new_tokens=6)
    assert verse[-1] == "。" and len(verse) == 6
    answered = [{"role": "user", "content": "床"}, {"role": "assistant", "content": "前"}]
    with pytest.raises(InputError, match="knows no conversation"):
        chat(model, tokenizer, [*answered, *answered[:1]])


def _network(rows: int, **ids: Any) -> Transformer:
    return tiny("tiny-chatglm2", vocab_size=rows, hidden_size=8, num_heads=2, head_dim=4, num_layers=1, **ids)
