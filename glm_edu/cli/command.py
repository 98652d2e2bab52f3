"""``glm-edu``: the subcommands, and what becomes of errors.

Exit codes: 0 done; 1 it could not be done, or the answer is no (it does not fit, a tensor differs); 2 the command line
is wrong; 130 Ctrl-C. An error is one message on stderr. What was asked for goes to stdout, all else to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from glm_edu.cli import chat, fetch, info, parity, plan
from glm_edu.errors import GLMError

SUBCOMMANDS = (fetch, chat, info, plan, parity)
_EXAMPLES = """\
a first chat, on a laptop:
  glm-edu fetch smollm2-135m        bring a small English model to this disk (98 MB, once)
  glm-edu chat smollm2-135m         talk to it

a model of the GLM family:
  glm-edu plan chatglm3-6b --quantize int4
                                    does it fit here? nothing is downloaded to know
  glm-edu fetch chatglm3-6b         12.5 GB from the Hugging Face hub; goes on where it was cut
  glm-edu chat chatglm3-6b --quantize int4

MODEL is a directory with config.json and the weights as they were published, a short name (glm-edu fetch --list shows
them), or owner/name on the hub. glm-edu SUBCOMMAND --help says more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = _say_warning
        try:
            given = parser().parse_args(arguments)
            code: int = given.run(given)
            sys.stdout.flush()  # here, where a closed pipe can still be caught
            return code
        except KeyboardInterrupt:
            print("\nStopped.", file=sys.stderr)
            return 130
        except BrokenPipeError:  # whoever read the output has seen enough: glm-edu ... | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except torch.OutOfMemoryError:
            print("error: The device has no memory left. glm-edu plan says what a model needs.", file=sys.stderr)
            return 1
        except (GLMError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="glm-edu",
        description="ChatGLM-6B, ChatGLM2-6B, ChatGLM3-6B and LLaMA from one readable network.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = whole.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    for subcommand in SUBCOMMANDS:
        subcommand.add_to(parts)
    return whole


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
