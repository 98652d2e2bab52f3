"""``glm-edu plan``: does it fit in this machine's memory?"""

from __future__ import annotations

import argparse

from glm_edu.cli.options import Parts, add_loading, add_model, add_part

_EXAMPLES = """\
  glm-edu plan chatglm2-6b
  glm-edu plan chatglm2-6b --quantize int4 --context 8192
  glm-edu plan chatglm-6b --device cuda"""


def add_to(parts: Parts) -> None:
    part = add_part(
        parts, "plan", "how much memory a model needs, and whether it fits",
        "How much memory a model needs, how much is free, and the smallest change that would make it fit. Weights are "
        "not read, and for a model of the hub not downloaded. The exit code is 1 where it does not fit.",
        _EXAMPLES,
    )  # fmt: skip
    add_model(part)
    add_loading(part)
    part.add_argument("--context", type=int, metavar="TOKENS", help="tokens of the prompt (default: 2048)")
    part.add_argument("--batch", type=int, default=1, metavar="PROMPTS", help="prompts at once (default: 1)")
    part.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the plan; 1 where it does not fit."""
    from glm_edu.checkpoints import plan

    planned = plan(
        given.model, given.dtype, given.device, given.context, given.batch, given.quantize, given.revision
    )  # fmt: skip
    print(planned)
    return 0 if planned.fits else 1
