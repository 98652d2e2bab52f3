"""A token strip shows every id once, under the name of its part; a chat is cut where its format cuts it.

Mutations that must fail here: an id dropped at a cut; a header called said; a role token called special; the parts of
another message; an unescaped piece; a choice without its buttons.
"""

import pytest
from gallery import HOSTILE, Markup

from glm_edu.errors import GLMError
from glm_edu.figures import token_strip
from glm_edu.figures.chats import chat_parts, text_part
from glm_edu.figures.tokens import Part, Token
from glm_edu.parity.tokens import MADE, made_tokenizer

CHAT = [
    {"role": "user", "content": "1"},
    {"role": "assistant", "content": "你好！"},
    {"role": "user", "content": "2"},
]
NAMES = {
    "chatglm-6b": ["header, round 0", "user", "header", "assistant", "header, round 1", "user", "header", "special"],
    "chatglm2-6b": ["special", "header, round 1", "user", "header", "assistant", "header, round 2", "user", "header"],
    "chatglm3-6b": ["special", *("role", "header", "user"), *("role", "header", "assistant"),
                    *("role", "header", "user"), "role"],
}  # fmt: skip


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("messages", [CHAT, CHAT[:1]], ids=["three", "one"])
def test_the_parts_of_a_chat_are_its_ids_in_order(kind, messages):  # the 1 of a header is not taken for a question
    tok = made_tokenizer(kind)
    parts = chat_parts(tok, messages)
    assert [token.id for part in parts for token in part.tokens] == tok.encode_chat(messages)
    said = [tok.decode([t.id for t in part.tokens]).strip() for part in parts if part.kind in ("user", "assistant")]
    assert said == [tok.decode(tok.encode(m["content"], False)) for m in messages]
    assert all(token.special == (part.kind == "marks") for part in parts for token in part.tokens)


@pytest.mark.parametrize("kind", MADE)
def test_each_part_has_the_name_of_what_it_is(kind):
    assert [part.name for part in chat_parts(made_tokenizer(kind), CHAT)] == NAMES[kind]


def test_a_piece_across_header_and_content_makes_one_part(monkeypatch):
    tok = made_tokenizer("chatglm2-6b")
    spread = tok.encode_chat(CHAT)[:-1]
    whole = tok.encode_chat
    monkeypatch.setattr(tok, "encode_chat", lambda chat: spread if chat is CHAT else whole(chat))
    assert [(part.name, len(part.tokens)) for part in chat_parts(tok, CHAT)] == [("text", len(spread))]


def test_a_cell_shows_blanks_newlines_and_bytes():
    labels = {"▁": "␣", "▁a": "␣a", "<n>": "⏎", "<0x0A>": "⏎", "<0xF0>": "F0", "<|tab|>": "⇥", "<|blank_4|>": "␣×4"}
    assert {piece: Token(1, piece).label for piece in labels} == labels
    assert Token(1, "<|blank_4|>", special=True).label == "<|blank_4|>"
    assert Token(1, "", special=True).label == "∅"  # an image's
    part = text_part(made_tokenizer("chatglm-6b"), "a\n    b")
    assert (part.name, part.kind) == ("text", "text") and not any(token.special for token in part.tokens)
    strip = {"one": [part]}
    page = Markup(token_strip(strip).picture)
    assert [cell["title"] for cell in page.all("i")][2:4] == ["4: <n>", "130011: <|blank_4|>"]
    assert page.text["b"][2:4] == ["4", "130011"]


def test_one_of_several_by_buttons_and_the_answer_behind():
    strips = {kind: chat_parts(made_tokenizer(kind), CHAT) for kind in MADE}
    figure = token_strip(strips, legend="Model", chosen="chatglm2-6b", then="the answer")
    assert ["checked" in box for box in Markup(figure.controls).all("input")] == [False, True, False]
    assert Markup(figure.picture).text["small"].count("the answer") == 3
    assert figure.alt.startswith("chatglm2-6b, ") and figure.data["chosen"] == "chatglm2-6b"
    assert figure.data["strips"]["chatglm3-6b"][1] == {
        "name": "role", "kind": "marks", "ids": [64795], "pieces": ["<|user|>"], "special": [True],
    }  # fmt: skip


def test_markup_in_pieces_and_names_stays_text():
    parts = [Part(text, "wrong", [Token(i, text)]) for i, text in enumerate(HOSTILE)]
    page = Markup(token_strip({HOSTILE[0]: parts}, then=HOSTILE[1], title=HOSTILE[0]).html)
    assert [script.get("type") for script in page.all("script")] == ["application/json"]
    assert all(not key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert "∗∗" in token_strip({"one": [Part("p", "text", [Token(1, "**")])]}).alt


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(GLMError, match="kind 'loud'"):
        Part("p", "loud", [])
    with pytest.raises(GLMError, match="at least one token"):
        token_strip({"one": [Part("p", "text", [])]})
    part = [Part("p", "text", [Token(1, "a")])]
    with pytest.raises(GLMError, match="from 2 to 8"):
        token_strip({"one": part}, legend="which", chosen="one")
