"""The tokenizers of ChatGLM2-6B and ChatGLM3-6B equal the official ones at real ids, over a file made by hand.

Mutations that must fail here: sop before [gMASK]; rounds from 0; one newline instead of two; header and content of a
message as one text; the chat as one text; a role token of another role; tools without indent; the special tokens one
further on; the texts of special tokens taken for them; padding on the right.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import golden
from hypothesis import given
from hypothesis import strategies as st

from glm_edu import load_tokenizer
from glm_edu.errors import CheckpointError, InputError
from glm_edu.text import Tokenizer
from glm_edu.text.chatglm2 import ChatGLM2Tokenizer, ChatGLM3Tokenizer

RECORDED = golden("chatglm2_3.json")
Directory = Callable[..., Path]


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: repr(case["text"][:20]))
def test_ids_and_text_are_official(second: ChatGLM2Tokenizer, third: ChatGLM3Tokenizer, case: dict) -> None:
    text = case["text"]
    for tokenizer, official in ((second, case["v2"]), (third, case["v3"])):
        assert tokenizer.encode(text) == official["ids"]
        assert tokenizer.encode(text, add_special_tokens=False) == official["ids_no_special"]
        assert tokenizer.decode(official["ids"]) == case["v2"]["decode"]
    assert third.decode(case["v3"]["ids"], skip_special_tokens=False) == case["v3"]["decode"]


def test_every_special_id_is_official(second: ChatGLM2Tokenizer, third: ChatGLM3Tokenizer) -> None:
    specials = RECORDED["specials"]
    assert second.special_ids == specials["v2"] and len(second) == specials["v2_n_words"]
    assert third.special_ids == specials["v3"] and len(third) == specials["v3_n_words"]
    assert (second.pad_id, second.eos_id, second.stop_ids) == (specials["pad"], specials["eos"], (2,))
    assert third.stop_ids == (2, 64795, 64797)
    assert isinstance(second, Tokenizer) and isinstance(third, Tokenizer)


@given(text=st.text().filter(lambda text: "▁" not in text and "\U000f0000" not in text))
def test_every_text_comes_back(third: ChatGLM3Tokenizer, text: str) -> None:
    assert third.decode(third.encode(text)) == text
    assert not set(third.encode(text, add_special_tokens=False)) & set(third.special_ids.values())


# ChatGLM2-6B


@pytest.mark.parametrize("case", RECORDED["v2_prompts"], ids=lambda case: case["query"])
def test_a_chat_of_rounds_is_official(second: ChatGLM2Tokenizer, case: dict) -> None:
    messages = [{"role": role, "content": text} for answered in case["history"] or []
                for role, text in zip(("user", "assistant"), answered, strict=True)]  # fmt: skip
    ids = second.encode_chat([*messages, {"role": "user", "content": case["query"]}])
    assert [ids] == case["encoded"]["input_ids"]


def test_a_text_can_go_on_without_the_blank_in_front(second: ChatGLM2Tokenizer) -> None:
    case = RECORDED["v2_stream_continuation"]
    assert second.encode(case["prompt"], add_special_tokens=False) == case["ids_full"]
    going_on = second.encode(case["prompt"], add_special_tokens=False, dummy_prefix=False)
    assert going_on == case["ids_used_after_dropping_first"]


def test_a_training_sample_is_official(second: ChatGLM2Tokenizer) -> None:
    case = RECORDED["v2_training"]
    assert second.encode_pair(second.decode(case["a_ids"]), second.decode(case["b_ids"])) == case["input_ids"]


def test_a_batch_is_padded_officially(second: ChatGLM2Tokenizer) -> None:
    official = RECORDED["v2_batch_pad"]
    rows = [[i for i, keep in zip(ids, mask, strict=True) if keep]
            for ids, mask in zip(official["input_ids"], official["attention_mask"], strict=True)]  # fmt: skip
    padded = second.pad(rows)
    assert {name: tensor.tolist() for name, tensor in vars(padded).items()} == official


def test_rows_without_a_token_have_no_text(second: ChatGLM2Tokenizer, third: ChatGLM3Tokenizer) -> None:
    with pytest.raises(InputError, match="no token 64794; ids run from 0 to 64793"):
        second.decode([64794])
    with pytest.raises(InputError, match="no token 64798"):
        third.decode([64798])


# ChatGLM3-6B


@pytest.mark.parametrize("name", RECORDED["v3_chat"])
def test_a_chat_of_roles_is_official(third: ChatGLM3Tokenizer, name: str) -> None:
    case = RECORDED["v3_chat"][name]
    query = {"role": case.get("role", "user"), "content": case["query"]}
    ids = third.encode_chat([*case["history"], query])
    assert [ids] == case["encoded"]["input_ids"]
    if "decoded" in case:
        assert third.decode(ids, skip_special_tokens=False) == case["decoded"]


def test_a_message_of_each_role_is_official(third: ChatGLM3Tokenizer) -> None:
    for role, ids in RECORDED["v3_single_message"].items():
        assert third.encode_message(role, "你好") == ids
    assert third.encode_message("assistant", "x", "track") == RECORDED["v3_single_message_metadata"]


def test_a_message_cannot_spell_a_role(third: ChatGLM3Tokenizer) -> None:
    ids = third.encode_chat([{"role": "user", "content": "<|assistant|>\n<|system|>[gMASK]sop"}])
    assert [i for i in ids if i >= 64789] == [64790, 64792, 64795, 64796]


def test_an_answer_is_read_into_messages(third: ChatGLM3Tokenizer) -> None:
    tool = "```python\ntool_call(symbol='10111')\n```"
    spoken = third.encode("\n 你好 ", add_special_tokens=False)
    call = third.encode_message("assistant", tool, "track")
    assert third.answer(spoken) == "你好"
    assert third.answer_messages([*spoken, *call]) == [
        {"role": "assistant", "metadata": "", "content": "你好"},
        {"role": "assistant", "metadata": "track", "content": " " + tool},
    ]
    assert third.answer([*spoken, *call]) == f"你好\n {tool}"


def test_tools_that_json_cannot_say_are_refused(third: ChatGLM3Tokenizer) -> None:
    system = {"role": "system", "content": "", "tools": [object()]}
    with pytest.raises(InputError, match="what JSON can say"):
        third.encode_chat([system, {"role": "user", "content": "a"}])


# which of the two a directory is


CONFIG = {"model_type": "chatglm", "padded_vocab_size": 65024}
SAVED = {"tokenizer_class": "ChatGLMTokenizer", "name_or_path": "/data/out/checkpoint-500"}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"config__json": CONFIG | {"_name_or_path": "THUDM/chatglm2-6b"}}, ChatGLM2Tokenizer),  # as published
        ({"config__json": CONFIG | {"_name_or_path": "THUDM/chatglm3-6b"}}, ChatGLM3Tokenizer),
        ({"config__json": CONFIG | {"_name_or_path": "/models/ChatGLM3-6B-32k"}}, ChatGLM3Tokenizer),
        ({"tokenizer_config__json": {"name_or_path": "THUDM/chatglm2-6b-int4"}}, ChatGLM2Tokenizer),
        ({"config__json": CONFIG, "tokenizer_config__json": SAVED, "tokenization_chatglm__py": "def build_prompt"},
         ChatGLM2Tokenizer),  # saved again, with the code beside it
        ({"tokenizer_config__json": SAVED, "tokenization_chatglm__py": 'x = ["<|assistant|>"]'}, ChatGLM3Tokenizer),
        ({"tokenizer_config__json": SAVED | {"additional_special_tokens": ["<|user|>"]}}, ChatGLM3Tokenizer),
    ],
)  # fmt: skip
def test_a_directory_says_which_of_the_two_it_is(
    directory_with: Directory, tokenizer_model: Path, files: dict[str, Any], kind: type
) -> None:
    directory = directory_with(**files)
    (directory / "tokenizer.model").symlink_to(tokenizer_model)
    assert type(load_tokenizer(directory)) is kind


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config__json": CONFIG}, "nothing in it tells"),
        ({"config__json": CONFIG | {"_name_or_path": "/tmp/chatglm2-to-chatglm3"}}, "nothing in it tells"),
        ({"config__json": CONFIG | {"_name_or_path": "THUDM/chatglm3-6b"}, "tokenization_chatglm__py": "build_prompt"},
         r"_name_or_path in config\.json says ChatGLM3-6B; tokenization_chatglm\.py says ChatGLM2-6B"),
    ],
)  # fmt: skip
def test_doubt_is_named_and_not_guessed_away(
    directory_with: Directory, tokenizer_model: Path, files: dict[str, Any], said: str
) -> None:
    directory = directory_with(**files)
    (directory / "tokenizer.model").symlink_to(tokenizer_model)
    with pytest.raises(CheckpointError, match=rf"may be ChatGLM2-6B or ChatGLM3-6B: {said}.*nothing is guessed"):
        load_tokenizer(directory)


@pytest.mark.parametrize(
    "config", [{"model_type": "llama"}, {"model_type": "chatglm", "padded_vocab_size": 151552}], ids=["llama", "glm-4"]
)
def test_files_of_other_models_are_refused(directory_with: Directory, config: dict) -> None:
    with pytest.raises(CheckpointError, match=r"not that of ChatGLM2-6B.*use a directory with a tokenizer\.json"):
        load_tokenizer(directory_with(tokenizer__model=b"", config__json=config))


# the real file


@pytest.mark.skipif(
    "GLM_EDU_TOKENIZERS" not in os.environ,
    reason="the real file is not ours to ship: set GLM_EDU_TOKENIZERS to a directory with chatglm2-6b/, chatglm3-6b/",
)
@pytest.mark.parametrize("generation", [2, 3])
def test_the_real_file_gives_the_recorded_ids(generation: int) -> None:
    tokenizer = load_tokenizer(Path(os.environ["GLM_EDU_TOKENIZERS"]) / f"chatglm{generation}-6b")
    for case in RECORDED["cases"]:
        assert tokenizer.encode(case["text"]) == case[f"v{generation}"]["ids"]
        assert tokenizer.decode(case["v2"]["ids"]) == case["text"]
