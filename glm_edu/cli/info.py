"""``glm-edu info``: what lies in a checkpoint directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from glm_edu.cli.options import Parts, add_model, add_part

_EXAMPLES = """\
  glm-edu info smollm2-135m
  glm-edu info ./chatglm2-6b
  glm-edu info tang-glm"""
TOKENIZERS = {  # the file -> what it is; the first that is there is the one that is used
    "tokenizer.json": "tokenizer.json, read by the tokenizers library",
    "vocab.txt": "vocab.txt, one character a token",
    "ice_text.model": "ice_text.model, SentencePiece with the rules of ChatGLM-6B",
    "tokenizer.model": "tokenizer.model, SentencePiece with the rules of ChatGLM2-6B and ChatGLM3-6B",
}


def add_to(parts: Parts) -> None:
    part = add_part(
        parts, "info", "what lies in a checkpoint directory",
        "The model's column of the family table, its files, the dtype of its weights and its tokenizer. Of a model of "
        "the hub that is not on this disk, the config and the tokenizer are fetched, the weights are not.",
        _EXAMPLES,
    )  # fmt: skip
    add_model(part)
    part.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print what is there."""
    from glm_edu.checkpoints.hub import locate
    from glm_edu.checkpoints.shards import read_json
    from glm_edu.config import ModelConfig

    directory = locate(given.model, given.revision, weights=False)
    config = ModelConfig.from_official(read_json(directory / "config.json"))
    tokenizer = next((words for name, words in TOKENIZERS.items() if (directory / name).is_file()), "none")
    rows = {"directory": str(directory), **config.describe(), **_weights(directory), "tokenizer": tokenizer}
    for row, text in rows.items():
        print(f"{row:>18}  {text}")
    for path in sorted(path for path in directory.iterdir() if path.is_file()):
        print(f"{_size(path.stat().st_size):>18}  {path.name}")
    return 0


def _weights(directory: Path) -> dict[str, str]:
    """How many tensors of which dtype, from the headers of the files; nothing where there are none yet."""
    from glm_edu.checkpoints.shards import open_shards
    from glm_edu.errors import CheckpointNotFoundError

    try:
        tensors = open_shards(directory).values()
    except CheckpointNotFoundError as error:
        return {"weights": f"none here: {error}"}
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    size = sum(tensor.nbytes for tensor in tensors)
    return {"weights": f"{len(tensors)} tensors, {_size(size)}, {' and '.join(dtypes)}"}


def _size(count: int) -> str:
    from glm_edu.checkpoints.files import say_bytes

    return say_bytes(count)
