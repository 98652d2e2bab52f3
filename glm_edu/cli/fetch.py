"""``glm-edu fetch``: bring a model to this disk, and say where it is."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from glm_edu.cli.options import Parts, add_part

_EXAMPLES = """\
  glm-edu fetch --list
  glm-edu fetch smollm2-135m
  glm-edu fetch zai-org/chatglm2-6b-int4
  HF_ENDPOINT=https://a.mirror glm-edu fetch chatglm2-6b"""


def add_to(parts: Parts) -> None:
    part = add_part(
        parts, "fetch", "bring a model to this disk",
        "Bring a model to this disk and print its directory. Only its config, tokenizer and weights are fetched, never "
        "code. An interrupted download goes on where it was cut; every file is verified by its hash.",
        _EXAMPLES,
    )  # fmt: skip
    part.add_argument("model", metavar="MODEL", help="a short name, or owner/name on the Hugging Face hub")
    part.add_argument("--revision", help="a branch, tag or commit on the hub (default: a pinned one, or main)")
    part.add_argument("--list", action=_ListNames, nargs=0, help="the short names, and what they stand for")
    part.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the directory of the model."""
    from glm_edu.checkpoints.hub import fetch

    print(fetch(given.model, given.revision))
    return 0


class _ListNames(argparse.Action):
    """Print the names and end, as --help does."""

    def __call__(self, part: argparse.ArgumentParser, *_: Any) -> None:
        from glm_edu.checkpoints.hub import model_names

        for name, about in model_names().items():
            print(f"{name:14} {about}")
        sys.stdout.flush()
        part.exit()
