"""The source map: an official name, what takes its place here, and the chapter that explains it.

Classes, functions and arguments stand in ``names.tsv``. Parameters and ``config.json`` keys are read off the tables
that load checkpoints, so the map knows exactly the names that the loader knows.

Official: modeling_chatglm.py, configuration_chatglm.py, tokenization_chatglm.py and quantization.py (ChatGLM-6B rev
8b7d335; ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87), modeling_llama.py (transformers 5.23.0).
Differs: names only; no line of theirs is here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from glm_edu.checkpoints.name_maps import BUFFERS, OLD_BUFFERS, TABLES
from glm_edu.official_config import IGNORED, REQUIRED, TABLE, Row

NAMES = Path(__file__).with_name("names.tsv")
MODELS = {"1": "ChatGLM-6B", "2": "ChatGLM2-6B", "3": "ChatGLM3-6B", "L": "LLaMA", "G": "GLM-4"}
LAYOUTS = {"chatglm": ("1",), "chatglm2": ("2", "3"), "llama": ("L",), "glm": ("G",)}
PARAMETERS, KEYS = "parameters", "config.json"
NOTHING = "-"  # takes the place of a name that has none here; the note says why

# The chapter of a parameter, by the end of our name, and of a config field.
OF_PARAMETER = {
    "embedding": "0 11", "input_norm": "4", "post_attention_norm": "4", "final_norm": "11", "query": "10", "key": "10",
    "value": "10", "output": "10", "gate": "3", "up": "3", "down": "3", "head": "11", "project_in": "14",
    "project_out": "14", "prefix.embedding": "14",
}  # fmt: skip
OF_FIELD = {
    "vocab_size": "1", "hidden_size": "0", "num_layers": "11", "num_heads": "10", "num_kv_groups": "10",
    "head_dim": "10", "feedforward_size": "3", "max_positions": "13", "norm": "4", "norm_eps": "4", "residual": "5",
    "alpha_layers": "5", "final_norm": "11", "layer_scaling": "8", "query_key_value_bias": "10",
    "attention_output_bias": "10", "feedforward_bias": "3", "rotary_channels": "7", "rotary_fraction": "6",
    "rotary_base": "6", "rope_ratio": "6", "tied_head": "11", "prefix_length": "14", "prefix_projection": "14",
    "hidden_dropout": "11", "attention_dropout": "8", "bos_id": "1", "eos_ids": "1", "pad_id": "1", "mask_id": "2",
    "gmask_id": "2", "fused_rows": "10", "dtype": "17", "quantization_bits": "15",
}  # fmt: skip
OF_KEY = {
    "tie_word_embeddings": "11", "attention_softmax_in_fp32": "8", "fp32_residual_connection": "11",
    "original_rope": "6", "quantization_embeddings": "15", "rope_scaling": "6", "hidden_act": "3",
    "pretraining_tp": "17", "rope_interleaved": "6",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One row: the official ``names`` of ``models`` in ``file``, their places ``here``, the ``chapters``, a note.

    A place is a dotted name under ``glm_edu``; of a parameter, a module of the network with {i} for the layer.
    """

    file: str
    names: tuple[str, ...]
    models: tuple[str, ...]
    here: tuple[str, ...]
    chapters: tuple[int, ...]
    note: str = ""


def entries() -> list[Entry]:
    """The whole map: names of the sources, then parameters, then keys of ``config.json``."""
    return [*_names(), *_merged(_parameters()), *_merged(_keys())]


def _names() -> Iterator[Entry]:
    with NAMES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            here = () if row["here"] == NOTHING else tuple(row["here"].split(", "))
            models = tuple(row["models"].split())
            yield Entry(row["file"], tuple(row["official"].split(", ")), models, here, _numbers(row["chapters"]),
                        row["note"])  # fmt: skip


def _parameters() -> Iterator[Entry]:
    for layout, models in LAYOUTS.items():
        for official, stems in TABLES[layout].items():
            last = stems[0] if stems[0] in OF_PARAMETER else stems[0].rpartition(".")[2]
            yield Entry(PARAMETERS, (official,), models, stems, _numbers(OF_PARAMETER[last]))
        for buffer in BUFFERS[layout] + OLD_BUFFERS.get(layout, ()):
            note = "a buffer; its values follow from the config"
            yield Entry(PARAMETERS, (buffer,), models, ("model.rotary.frequencies",), (6,), note)


def _keys() -> Iterator[Entry]:
    for layout, models in LAYOUTS.items():
        for row in TABLE[layout]:
            here = f"config.ModelConfig.{row.field}" if row.field else "official_config.TABLE"
            chapters = OF_FIELD[row.field] if row.field else OF_KEY[row.key]
            yield Entry(KEYS, (row.key,), models, (here,), _numbers(chapters), _said(row))
    said = "says nothing about the network"
    yield Entry(KEYS, tuple(sorted(IGNORED)), tuple(MODELS), ("official_config.IGNORED",), (), said)


def _said(row: Row) -> str:
    """What a key may hold, or what its values become."""
    if row.only is not None:
        return "may only be " + " or ".join(f"`{value}`" for value in row.only)
    turned = [f"`{key}` is `{value}`" for key, value in (row.values or {}).items() if key != value and key is not None]
    absent = "" if row.default is REQUIRED or row.default is None else f"absent: `{row.default}`"
    return "; ".join(filter(None, [*turned, absent]))


def _merged(rows: Iterable[Entry]) -> list[Entry]:
    """Rows that say the same of several models made one."""
    found: dict[tuple, Entry] = {}
    for row in rows:
        same = (row.names, row.here, row.chapters, row.note)
        models = found[same].models if same in found else ()
        found[same] = Entry(row.file, row.names, models + row.models, row.here, row.chapters, row.note)
    return list(found.values())


def _numbers(chapters: str) -> tuple[int, ...]:
    return tuple(int(chapter) for chapter in chapters.split())
