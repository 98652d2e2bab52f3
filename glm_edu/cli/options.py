"""What several subcommands ask for: the model, and how it is loaded."""

from __future__ import annotations

import argparse
from textwrap import fill
from typing import Any

Parts = Any  # argparse gives the type of add_subparsers() no public name


def add_part(parts: Parts, name: str, help: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The parser of one subcommand."""
    part: argparse.ArgumentParser = parts.add_parser(
        name, help=help, description=fill(description, 100), epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    return part


def add_model(part: argparse.ArgumentParser) -> None:
    """MODEL and --revision."""
    part.add_argument("model", metavar="MODEL", help="a directory, a short name, or owner/name on the Hugging Face hub")
    part.add_argument("--revision", help="a branch, tag or commit on the hub (default: a pinned one, or main)")


def add_loading(part: argparse.ArgumentParser) -> None:
    """--dtype, --device and --quantize."""
    part.add_argument("--dtype", help="float32, float16 or bfloat16 (default: that of the checkpoint)")
    part.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps (default: cpu)")
    part.add_argument("--quantize", metavar="BITS", help="int8 or int4: less memory, a little less exact")
