"""Stand-ins: small directories in the official layouts, made when they are needed, for whoever has no 6B weights here.

What a published directory of ChatGLM-6B, ChatGLM2-6B or ChatGLM3-6B holds, a few thousandths of its size: config.json
with the official keys, shards under the official names with their index, and a SentencePiece model with the official
special pieces. So every call of the capstone takes the path that it takes with the real files.

The weights are those of Tang GLM and Tang GLM 2, which know poems and nothing else. Their rows are moved to the ids of
the new vocabulary; a piece that they never met has the mean row of each table.

Official: ice_text.model and tokenizer_config.json (ChatGLM-6B rev 8b7d335), tokenizer.model (ChatGLM2-6B, ChatGLM3-6B).
Differs: single characters instead of learned pieces, so the ids are not the published ones.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any
from unicodedata import normalize

import torch

from glm_edu.checkpoints.hub import SHIPPED
from glm_edu.errors import InputError
from glm_edu.model.transformer import Transformer
from glm_edu.text.characters import CharacterTokenizer

STAND_INS = ("chatglm-6b", "chatglm2-6b", "chatglm3-6b")
SHARD = "3MB"  # small enough that there are several, as in the published directories
_CONTROLS = ("[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>")  # pieces of ice_text
_TEXT = ("<n>", "<|tab|>", *(f"<|blank_{count}|>" for count in range(2, 81)))
_BEHIND = ("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop")  # the later tokenizers count these on from their last piece
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")


def make_stand_in(kind: str, directory: str | PathLike[str]) -> Path:
    """Write a stand-in for one of ``STAND_INS`` into ``directory``, and return its path.

    Raises:
        InputError: another kind.
    """
    if kind not in STAND_INS:
        raise InputError(f"There is no stand-in for {kind!r}; there are {', '.join(STAND_INS)}.")
    first, place = kind == STAND_INS[0], Path(directory)
    source = "tang-glm" if first else "tang-glm2"
    model = Transformer.from_pretrained(source)
    tokens = CharacterTokenizer.from_file(SHIPPED / source / "vocab.txt").tokens
    pieces, proto = _sentencepiece([token for token in tokens if len(token) == 1], first)
    ids = _ids(pieces, kind)
    _move_rows(model, tokens, ids, first)
    model.config = replace(model.config, **_changes(kind, ids, len(model.embedding.weight)))
    model.save_pretrained(place, max_shard_size=SHARD)
    (place / ("ice_text.model" if first else "tokenizer.model")).write_bytes(proto)
    said = {"name_or_path": f"THUDM/{kind}", "tokenizer_class": "ChatGLMTokenizer", "num_image_tokens": 0}
    (place / "tokenizer_config.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return place


def _sentencepiece(characters: Iterable[str], first: bool) -> tuple[list[str], bytes]:
    """The pieces by id, and the file: characters, bytes, and what the generation keeps among its pieces."""
    import sentencepiece  # here: only those who read text pay for it

    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["".join(characters)]), model_writer=file, max_sentence_length=10**6, minloglevel=2,
        model_type="char", vocab_size=10**4, hard_vocab_limit=False, character_coverage=1.0, byte_fallback=True,
        unk_id=0, bos_id=1, eos_id=2, pad_id=3 if first else -1, remove_extra_whitespaces=False,
        normalization_rule_name="nmt_nfkc" if first else "identity",
        control_symbols=[*_CONTROLS] if first else [], user_defined_symbols=[*_TEXT] if first else [],
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    return [processor.id_to_piece(i) for i in range(len(processor))], file.getvalue()


def _ids(pieces: list[str], kind: str) -> dict[str, int]:
    """Every token that the model has a row for, by name."""
    behind = {"chatglm-6b": (), "chatglm2-6b": _BEHIND, "chatglm3-6b": _BEHIND + _ROLES}[kind]
    return {token: number for number, token in enumerate([*pieces, *behind])}


def _move_rows(model: Transformer, tokens: Iterable[str], ids: dict[str, int], first: bool) -> None:
    """Give embedding and head a row for every new id, in the order of the new vocabulary."""
    renamed = {} if first else {"<sop>": "sop", "<eop>": "</s>"}
    old = {renamed.get(token, normalize("NFKC", token) if first else token): i for i, token in enumerate(tokens)}
    rows = -(-len(ids) // 64) * 64  # more rows than tokens, as in the published models
    del old["<unk>"]  # a chat should answer in characters
    order = torch.tensor([old.get(name, -1) for name in ids] + [-1] * (rows - len(ids)))  # v
    assert model.head is not None  # Tang GLM's is not shared with the embedding
    for table in (model.embedding, model.head):
        moved = torch.where((order < 0)[:, None], table.weight.mean(0), table.weight[order])  # v h
        table.weight = torch.nn.Parameter(moved.detach(), requires_grad=False)


def _changes(kind: str, ids: dict[str, int], rows: int) -> dict[str, Any]:
    """The fields of the config that follow from the new vocabulary."""
    if kind == "chatglm-6b":
        named = {"bos_id": "<sop>", "mask_id": "[MASK]", "gmask_id": "[gMASK]", "pad_id": "<pad>"}
        return {"vocab_size": rows, "eos_ids": (ids["<eop>"],)} | {field: ids[token] for field, token in named.items()}
    table = {"rotary_frequencies": "float32", "rotary_angles": "float32"} if kind == "chatglm3-6b" else {}
    return {"vocab_size": rows, "eos_ids": (ids["</s>"],), "pad_id": 0, "bos_id": None} | table
