"""ChatGLM-6B's tokenizer equals the official wrapper: over the stand-in model for its rules, and at real ids.

Mutations that must fail here: <sop> before [gMASK]; blanks replaced after newlines were split; runs of one or 81 blanks
as one piece; blanks beside [MASK] kept; rounds from 1; one newline more; [gMASK] looked for before [MASK] in padding;
position counted from padding; the clock running on after bos; ids of the old era not shifted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, golden
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny

from glm_edu import load_tokenizer
from glm_edu.errors import CheckpointError, InputError
from glm_edu.model.masks import hide_padding, prefix_mask
from glm_edu.text import Tokenizer
from glm_edu.text.chatglm import ChatGLMTokenizer

WRAPPER = golden("chatglm1_wrapper.json")
VECTORS = golden("chatglm1_real_vectors.json")
BATCH = ["你好", "hello world hello", "x [MASK] y"]  # the texts of the recorded padding
IDS = dict(bos_token_id=8, eos_token_id=9, mask_token_id=4, gmask_token_id=5)  # of the stand-in
Directory = Callable[..., Path]


# over the stand-in model: every rule


@pytest.mark.parametrize("case", WRAPPER["strings"], ids=lambda case: repr(case["text"][:20]))
def test_ids_and_text_are_official(standin: ChatGLMTokenizer, case: dict) -> None:
    text = case["text"]
    assert standin.encode(text) == case["encode"]
    assert standin.encode(text, add_special_tokens=False) == case["encode_no_special"]
    assert standin.decode(case["encode"]) == case["decode"]
    if not set(case["encode_no_special"]) & {4, 8, 9}:  # recorded below the splitting of special tokens
        assert standin.encode(text, add_special_tokens=False, dummy_prefix=False) == case["sp_encode_no_dummy_prefix"]


def test_every_special_id_is_official(standin: ChatGLMTokenizer) -> None:
    ids = WRAPPER["tokenizer_attr_ids"]
    assert (standin.sop_id, standin.eop_id, standin.pad_id, standin.mask_id, standin.gmask_id) == (
        ids["bos"], ids["eos"], ids["pad"], ids["mask"], ids["gmask"],
    )  # fmt: skip
    assert standin.stop_ids == (ids["eos"],) and len(standin) == WRAPPER["vocab_size"]
    assert isinstance(standin, Tokenizer)


@pytest.mark.parametrize("case", WRAPPER["pairs"], ids=lambda case: str(case["pair"]))
def test_a_training_sample_is_official(standin: ChatGLMTokenizer, case: dict) -> None:
    assert standin.encode_pair(*case["pair"]) == case["ids"]


@pytest.mark.parametrize("length", [4, 6])
def test_cutting_keeps_the_end_of_the_prompt(standin: ChatGLMTokenizer, length: int) -> None:
    expected = WRAPPER["truncation"][f"truncation_max_length_{length}"]
    assert standin.encode("hello world hello world", max_length=length) == expected


def test_a_special_token_at_the_begin_needs_no_blank(standin: ChatGLMTokenizer) -> None:
    assert standin.encode("[MASK]x", dummy_prefix=False) == standin.encode("[MASK]x") == [4, 349, 364, 5, 8]
    assert standin.encode("x[MASK]x", dummy_prefix=False) == [364, 4, 349, 364, 5, 8]


def test_blanks_and_newlines_beside_a_special_token_are_dropped(standin: ChatGLMTokenizer) -> None:
    assert standin.encode("\nx\n [MASK]\n\tx\n") == standin.encode("\nx[MASK]x\n")


@pytest.mark.parametrize("case", WRAPPER["chat_prompt"], ids=lambda case: case["query"])
def test_a_chat_is_official(standin: ChatGLMTokenizer, case: dict) -> None:
    messages = [{"role": role, "content": text} for answered in case["history"]
                for role, text in zip(("user", "assistant"), answered, strict=True)]  # fmt: skip
    messages.append({"role": "user", "content": case["query"]})
    assert standin.encode_chat(messages) == standin.encode(case["prompt"])


@pytest.mark.parametrize("case", WRAPPER["process_response"], ids=lambda case: case["text"])
def test_an_answer_is_cleaned_officially(standin: ChatGLMTokenizer, case: dict) -> None:
    assert standin.clean(case["text"]) == case["out"]


def test_a_batch_is_padded_officially(standin: ChatGLMTokenizer) -> None:
    official = WRAPPER["padding"]["longest"]
    padded = standin.pad([standin.encode(text) for text in BATCH])
    assert padded.input_ids.tolist() == official["input_ids"]
    assert padded.position_ids.tolist() == official["position_ids"]
    assert standin.decode(padded.input_ids[0].tolist()) == BATCH[0]
    hidden = torch.tensor(official["attention_mask"]).bool()  # b 1 s s   True = hidden, there
    keep = padded.attention_mask.bool()
    context = keep.sum(-1) - 1  # all but <sop>
    first = (~keep).sum(-1)
    visible = hide_padding(prefix_mask((first + context)[:, None, None], keep.shape[1])[:, None], keep, pad_rows=False)
    assert visible.tolist() == (~hidden).tolist()


def test_a_padded_batch_gives_each_row_what_it_gives_alone(standin: ChatGLMTokenizer) -> None:
    model = tiny("tiny-chatglm", bos_id=8, eos_ids=(9,), mask_id=4, gmask_id=5)
    rows = [standin.encode(text) for text in BATCH[:2]]
    together = model(**vars(standin.pad(rows)))
    for row, ids in enumerate(rows):
        torch.testing.assert_close(together[row, -len(ids) :], model(torch.tensor([ids]))[0], atol=1e-5, rtol=0)


def test_a_row_without_its_special_tokens_cannot_be_padded(standin: ChatGLMTokenizer) -> None:
    with pytest.raises(InputError, match=r"Row 1 lacks <sop> \(8\), or both"):
        standin.pad([standin.encode("你好"), standin.encode("你好", add_special_tokens=False)])
    with pytest.raises(InputError, match="at least one id"):
        standin.pad([[5, 8], []])


# what NFKC does not fold comes back, unless a blank stands alone at an end


SAFE = ("a", "你", "好", "。", "0", "龘", "👋", "\n", "\t", " ", "  ", " " * 81)


@given(parts=st.lists(st.sampled_from(SAFE), max_size=12))
def test_text_comes_back(standin: ChatGLMTokenizer, parts: list[str]) -> None:
    text = "x" + "".join(parts) + "x"
    assert standin.decode(standin.encode(text)) == text


# at real ids


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["text"][:12])
def test_recorded_texts_have_their_real_ids(real_ids: ChatGLMTokenizer, vector: dict) -> None:
    assert real_ids.encode(vector["text"]) == vector["ids_with_special"]
    assert real_ids.decode(vector["ids_with_special"]) == vector["decoded_by_vocab"]
    assert real_ids.vocab_size == VECTORS["sp_vocab"]


def test_a_recorded_chat_has_its_real_ids(real_ids: ChatGLMTokenizer) -> None:
    vector = VECTORS["vectors"][1]
    answer = "你好👋！我是人工智能助手 ChatGLM-6B，很高兴见到你，欢迎问我任何问题。"
    chat = [("user", "你好"), ("assistant", answer), ("user", "晚上睡不着应该怎么办")]
    ids = real_ids.encode_chat([{"role": role, "content": text} for role, text in chat])
    assert ids == vector["ids_with_special"]


@pytest.mark.skipif(
    "GLM_EDU_TOKENIZERS" not in os.environ,
    reason="the real files are not ours to ship: set GLM_EDU_TOKENIZERS to a directory that holds chatglm-6b/",
)
@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["text"][:12])
def test_the_real_file_gives_the_recorded_ids(vector: dict) -> None:
    tokenizer = load_tokenizer(Path(os.environ["GLM_EDU_TOKENIZERS"]) / "chatglm-6b")
    assert tokenizer.encode(vector["text"]) == vector["ids_with_special"]


# directories


def test_config_says_in_which_era_the_ids_are(directory_with: Directory) -> None:
    directory = directory_with(ice_text__model=TINY.read_bytes(), config__json={"model_type": "chatglm"} | IDS)
    new = load_tokenizer(directory)
    directory_with(config__json={key: 20000 + value for key, value in IDS.items()})
    old = load_tokenizer(directory)
    assert isinstance(new, ChatGLMTokenizer) and isinstance(old, ChatGLMTokenizer)
    assert old.encode("你好") == [20000 + i for i in new.encode("你好")] == [20349, 20398, 20005, 20008]
    assert old.decode([7, *old.encode("你好\n[MASK]")]) == "你好" and old.stop_ids == (20009,)  # 7: an image


def test_tokenizer_config_says_it_where_config_does_not(directory_with: Directory) -> None:
    directory = directory_with(ice_text__model=TINY.read_bytes(), tokenizer_config__json={"num_image_tokens": 20000})
    assert load_tokenizer(directory).stop_ids == (20009,)


@pytest.mark.parametrize(
    ("ids", "tokens"),
    [(IDS | {"gmask_token_id": 20005}, 0), ({"eos_token_id": 10}, 0), ({}, 7), ({}, [20000]), ({}, None)],
)
def test_files_of_two_eras_are_refused(directory_with: Directory, ids: dict, tokens: Any) -> None:
    directory = directory_with(
        ice_text__model=TINY.read_bytes(), config__json=ids, tokenizer_config__json={"num_image_tokens": tokens}
    )
    with pytest.raises(CheckpointError, match=r"do not belong together.*before and after April 2023 do not mix"):
        load_tokenizer(directory)


@pytest.mark.parametrize("key", ["remove_space", "do_lower_case"])
def test_settings_that_change_texts_are_refused(directory_with: Directory, key: str) -> None:
    directory = directory_with(ice_text__model=TINY.read_bytes(), tokenizer_config__json={key: True})
    with pytest.raises(CheckpointError, match=rf"tokenizer_config\.json: {key}=True is not supported"):
        load_tokenizer(directory)
