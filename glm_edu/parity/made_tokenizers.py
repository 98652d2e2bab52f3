"""SentencePiece files made by hand: the pieces of recorded texts stand at their real ids, all others are unused.

The tokenizer files of the published models are not in this repository. What their tokenizers made of some texts is
(``tests/golden/tokenizers``), and a file of the published size with just those pieces gives just those ids again.
The wire format of Protocol Buffers is written out here, as a tokenizer file needs only strings, numbers and nesting.

Official: ice_text.model (ChatGLM-6B rev 8b7d335), tokenizer.model (ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87).
Differs: a text whose pieces were never recorded is cut into bytes or single characters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE = 1, 2
Piece = tuple[str, float, int]


def _number(value: int) -> bytes:
    """A varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _flag(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _nested(field: int, content: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(content)) + content


def model(kind: int, known: Mapping[int, Piece], size: int, normalizer: bytes) -> bytes:
    """A model of this kind (unigram, BPE) with bytes for unknown characters.

    ``known`` pieces stand at their ids, and unused ones that match no text at the others up to ``size``.
    """
    unused = _row("\U000f0000-------", 0.0, UNUSED).replace(b"-------", b"%07d")
    rows = (_row(*known[i]) if i in known else unused % i for i in range(size))
    trainer = _flag(3, kind) + _flag(35, 1)  # byte_fallback
    return b"".join(rows) + _nested(2, trainer) + _nested(3, normalizer)


def _row(piece: str, score: float, use: int) -> bytes:
    return _nested(1, _nested(1, piece.encode()) + b"\x15" + struct.pack("<f", score) + _flag(3, use))


def identity() -> bytes:
    """The normalizer of ChatGLM2-6B: nothing is folded, blanks stay, one is set in front."""
    return _nested(1, b"identity") + _flag(3, 1) + _flag(4, 0) + _flag(5, 1)


def normalizer_of(file: Path) -> bytes:
    """The normalizer that a file holds."""
    content = file.read_bytes()
    return next(value for field, value in _fields(content) if field == 3)


def _fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(content):
        key, place = _read(content, place)
        size, place = _read(content, place)
        assert key & 7 == 2, "the top level of a model holds messages only"
        yield key >> 3, content[place : place + size]
        place += size


def _read(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return value, place


def with_bytes(known: dict[int, Piece], bytes_at: int) -> dict[int, Piece]:
    """The 256 pieces for single bytes besides."""
    return known | {bytes_at + byte: (f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)}


def chatglm_model(vectors: list[dict[str, Any]], normalizer: bytes) -> bytes:
    """An ``ice_text.model`` of the published size with the pieces of recorded texts at their real ids."""
    names = ("[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>")
    controls = {1: "<s>", 2: "</s>", 3: "<pad>"} | dict(enumerate(names, 130000))
    typed = {4: "<n>", 130008: "<|tab|>"} | {130007 + run: f"<|blank_{run}|>" for run in range(2, 81)}
    known: dict[int, Piece] = {0: ("<unk>", 0.0, UNKNOWN)}
    known |= {i: (name, 0.0, CONTROL) for i, name in controls.items()}
    known |= {i: (name, 0.0, USER_DEFINED) for i, name in typed.items()}
    pairs = {i: piece.replace(" ", "▁") for vector in vectors
             for i, piece in zip(vector["ids"], vector["pieces"], strict=True)}  # fmt: skip
    for i, piece in pairs.items():  # few pieces, and a blank rather with what follows
        known.setdefault(i, (piece, -25.0 if piece == "▁" else -10 - i * 1e-5, NORMAL))
    return model(UNIGRAM, with_bytes(known, 130088), 130344, normalizer)


def chatglm2_model(recorded: dict[str, Any]) -> bytes:
    """A ``tokenizer.model`` of the published size with the pieces of recorded texts at their real ids.

    As in the real file, the lower id is merged first. The beginnings of each piece stand at ids that are free, so that
    it can be put together from the left; they are unused, which takes them apart again where they are left over.
    """
    known: dict[int, Piece] = {0: ("<unk>", 0.0, UNKNOWN), 1: ("<s>", 0.0, CONTROL), 2: ("</s>", 0.0, CONTROL)}
    known = with_bytes(known, 3)
    names = {i: piece for case in recorded["cases"]
             for i, piece in zip(case["sp_ids"], case["sp_pieces"], strict=True)} | READ_OFF  # fmt: skip
    known |= {i: (piece, -float(i), NORMAL) for i, piece in names.items() if i not in known}
    there, free = set(names.values()), (i for i in range(len(known), 64789) if i not in names)
    for i, piece in sorted(names.items()):
        for length in range(2, len(piece) if i >= 259 else 0):
            if (begin := piece[:length]) not in there:
                there.add(begin)
                known[next(free)] = (begin, -i + (len(piece) - length) / 64, UNUSED)
    return model(BPE, known, 64789, identity())


# The recorded chats give ids and texts without pieces; these are read off by laying the two side by side. Where the cut
# is not certain, another one would do as well: the chat format is what is tested.
READ_OFF = {
    267: "▁the", 289: "▁to", 344: "▁you", 352: "▁" * 8, 362: "▁as", 383: "▁are", 422: "▁by", 431: "▁have", 449: '▁"',
    457: "▁can", 647: "▁" * 16, 729: "▁{", 753: "▁" * 12, 809: "▁You", 899: "hip", 1077: "▁best", 1192: "▁Z",
    1227: "▁using", 1675: "▁access", 1762: "▁following", 1796: "▁large", 2092: "▁model", 2323: "name", 2450: "▁track",
    2554: "▁questions", 2795: "▁user", 2932: '":', 3239: "▁language", 3387: "')", 3478: "▁mark", 3536: "down",
    3543: "type", 4143: "},", 4159: "▁tools", 5741: "▁Follow", 6521: "='", 7594: "▁trained", 7724: "▁carefully",
    8178: "object", 8417: "▁instructions", 10372: "call", 10542: "what", 10755: "track", 10846: "``", 15821: '▁{"',
    16014: "▁```", 16302: "description", 17503: "price", 20115: "▁Answer", 20379: "required", 21911: "▁Respond",
    22268: "tool", 23720: "python", 24940: "parameters", 27448: "properties", 29145: "symbol", 30923: "u", 30953: "'",
    30954: ":", 30955: '"', 30962: "_", 30982: "{", 30987: "?", 30995: "[", 31011: "+", 31040: "`", 31155: "。",
    31665: "需要", 31843: "还有", 31869: "今天", 31990: "价格", 33030: "我是", 33071: "天气", 33572: "股票",
    34262: "查询", 34797: "人工智能", 35054: "指定", 35089: "代码", 35367: "怎么样", 36556: "实时",
    37070: "股价", 40637: "再见",
    41473: "追踪", 42481: "助手", 53456: "▁今天", 54530: "的", 54532: "是", 55282: "呢", 55398: "吗",
}  # fmt: skip
