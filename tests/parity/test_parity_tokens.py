"""What official tokenizers made of texts and chats is compared in the package, and a comparison can fail.

Mutations that must fail here: a prompt's parts in another order; header and content encoded at once; rounds from 1; a
recording that is skipped; pieces at other ids.
"""

from unittest.mock import patch

import pytest

from glm_edu.errors import CheckpointNotFoundError, InputError
from glm_edu.parity import tokens
from glm_edu.parity.tokens import compare_tokens, made_tokenizer, recorded, stand_in
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.chatglm2 import ChatGLM2Tokenizer, ChatGLM3Tokenizer


def test_every_recording_is_equal_and_none_is_left_out():
    rows = compare_tokens()
    assert all(row.ok for row in rows)
    facts, rules = recorded(tokens.LATER), recorded(tokens.RULES)
    counts = [len(rules[name]) for name in ("strings", "chat_prompt", "process_response")]
    assert [row.of for row in rows if row.model == "chatglm-6b"] == [counts[0], 9, counts[1], counts[2], 3]
    assert [row.of for row in rows if row.model == "chatglm2-6b"] == [len(facts["cases"]), len(facts["v2_prompts"])]
    assert [row.of for row in rows if row.model == "chatglm3-6b"][1:] == [4, len(facts["v3_chat"])]


def test_of_nothing_nothing_is_equal():
    assert tokens.Compared("chatglm-6b", "texts", 1, 1).ok and not tokens.Compared("chatglm-6b", "texts", 0, 0).ok


SPOILED = {
    "answers cleaned, rules": (ChatGLMTokenizer, "clean", lambda self, text: text),
    "padded rows, rules": (tokens, "PADDED", ("你好", "hello world hello", "x")),
    "chats, real ids": (ChatGLM2Tokenizer, "encode_chat", lambda self, messages: self.encode(messages[-1]["content"])),
    "messages, real ids": (ChatGLM3Tokenizer, "encode_message", lambda self, role, content, metadata="": []),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_mistake_makes_its_rows_differ(what):
    target, name, new = SPOILED[what]
    with patch.object(target, name, new):
        assert what in {row.what for row in compare_tokens() if not row.ok}


def test_a_made_tokenizer_has_the_published_size():
    sizes = [made_tokenizer(kind).vocab_size for kind in tokens.MADE]
    assert sizes == [130344, 64794, 64798] and len(stand_in()) == 501


def test_an_id_has_a_name_and_special_ids_are_told():
    first, third = made_tokenizer("chatglm-6b"), made_tokenizer("chatglm3-6b")
    assert [first.piece(i) for i in (5, 74874, 130001, 130004)] == ["▁", "你好", "[gMASK]", "<sop>"]
    assert [third.piece(i) for i in (13, 36474, 64792, 64797)] == ["<0x0A>", "▁你", "sop", "<|observation|>"]
    assert [first.is_special(i) for i in (0, 3, 4, 74874, 130001)] == [True, True, False, False, True]
    assert [third.is_special(i) for i in (0, 2, 13, 64788, 64789, 64797)] == [True, True, False, False, True, True]
    for tok in (first, third):
        for ask in (tok.piece, tok.is_special):
            with pytest.raises(InputError, match="There is no token"):
                ask(tok.vocab_size)


def test_images_have_no_name(tmp_path):
    older = ChatGLMTokenizer(tokens.TOKENIZERS / tokens.STAND_IN, 20000)
    assert (older.piece(7), older.is_special(7)) == ("", True)
    assert older.piece(20008) == "<sop>" and not older.is_special(20349)


def test_what_is_not_there_is_told(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="no made tokenizer of kind 'glm'"):
        made_tokenizer("glm")
    monkeypatch.setattr(tokens, "TOKENIZERS", tmp_path)
    with pytest.raises(CheckpointNotFoundError, match="from a clone"):
        recorded(tokens.RULES)
