"""Stand-ins are directories of the official layouts: every loader of the package takes them for what they stand for.

Mutations: with a row moved to the wrong id the answer is no line of a poem; with the ids of the special tokens one off,
config.json and tokenizer contradict each other, and the tokenizer or the chat refuses.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from glm_edu import ModelConfig, Transformer, generate, load_tokenizer
from glm_edu.capstone import STAND_INS, make_stand_in
from glm_edu.errors import InputError
from glm_edu.text.chat import chat

LINE = "白日依山尽，"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: make_stand_in(kind, tmp_path_factory.mktemp(kind)) for kind in STAND_INS}


@pytest.mark.parametrize("kind", STAND_INS)
def test_a_stand_in_differs_from_its_preset_in_numbers_alone(made: dict[str, Path], kind: str) -> None:
    numbers = ("_size", "num_", "head_dim", "max_positions", "alpha_layers", "_id", "_ids", "dtype")
    config, preset = Transformer.from_pretrained(made[kind]).config, ModelConfig.preset(kind)
    differ = [name for name in vars(config) if getattr(config, name) != getattr(preset, name)]
    assert differ and all(any(part in name for part in numbers) for name in differ), differ


def test_it_is_sharded_and_has_more_rows_than_tokens_as_published(made: dict[str, Path]) -> None:
    for directory in made.values():
        index = json.loads((directory / "model.safetensors.index.json").read_text())
        assert len(set(index["weight_map"].values())) > 1
        model, tok = Transformer.from_pretrained(directory), load_tokenizer(directory)
        assert tok.vocab_size < model.config.vocab_size == len(model.embedding.weight)
        assert set(model.config.eos_ids) <= set(tok.stop_ids)


@pytest.mark.parametrize(("kind", "source"), [("chatglm-6b", "tang-glm"), ("chatglm2-6b", "tang-glm2")])
def test_it_writes_what_tang_glm_writes(made: dict[str, Path], kind: str, source: str) -> None:
    """The same tokens in another vocabulary: logits of every character are those of the network it came from."""
    theirs, theirs_tok = Transformer.from_pretrained(source), load_tokenizer(source)
    ours, tok = Transformer.from_pretrained(made[kind]), load_tokenizer(made[kind])
    marks = [theirs_tok.gmask_id, theirs_tok.sop_id]  # Tang GLM 2 is asked as ChatGLM2-6B is: the marks first
    text = theirs_tok.encode(LINE, add_special_tokens=False)
    ids = text + marks if source == "tang-glm" else marks + text
    mine = [i for i in tok.encode(LINE) if tok.decode([i]) or i in _specials(tok)]  # less the blank in front
    new = generate(theirs, torch.tensor([ids]), max_new_tokens=5)[0, len(ids) :].tolist()
    ours_new = generate(ours, torch.tensor([mine]), max_new_tokens=5)[0, len(mine) :].tolist()
    assert tok.clean(tok.decode(ours_new)) == theirs_tok.decode(new)
    logits, same = theirs(torch.tensor([ids]))[0, -1], ours(torch.tensor([mine]))[0, -1]
    torch.testing.assert_close(same[ours_new[0]], logits[new[0]], atol=1e-4, rtol=0)


def _specials(tok: object) -> set[int]:
    ids = getattr(tok, "special_ids", {}).values()
    return {*ids} or {tok.gmask_id, tok.sop_id}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", STAND_INS)
def test_it_answers_a_chat_in_chinese(made: dict[str, Path], kind: str) -> None:
    model, tok = Transformer.from_pretrained(made[kind]), load_tokenizer(made[kind])
    answer = chat(model, tok, [{"role": "user", "content": LINE}], False, max_new_tokens=12, temperature=0.0)
    assert len(answer) > 3 and all("\u4e00" <= sign <= "\u9fff" or sign in "，。" for sign in answer), answer


def test_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no stand-in for 'chatglm4'; there are chatglm-6b, chatglm2-6b, chatglm3-6b"):
        make_stand_in("chatglm4", tmp_path / "none")
    assert not list(tmp_path.iterdir())
