"""``glm-edu parity``: a model's tensors beside recorded ones, in forward order; the first that differs is named."""

from __future__ import annotations

import argparse

from glm_edu.cli.options import Parts, add_model, add_part

_EXAMPLES = """\
  glm-edu parity tests/golden/chatglm1_gmask
  glm-edu parity ./chatglm2-6b --dtype float32 --atol 1e-3

The recording, io.safetensors, holds in.input_ids (and in.attention_mask, in.position_ids where the model was given
them), and under out. whatever was recorded: out.embedding, out.blocks.0.input_norm, out.blocks.0.attention.output,
out.blocks.0.output, out.final_norm, out.logits and so on, batch first. tests/golden/README.md says more; a case.json
beside it may hold several runs and a tolerance for each kind of tensor."""


def add_to(parts: Parts) -> None:
    part = add_part(
        parts, "parity", "compare a model's tensors with recorded ones",
        "Run the prompt that io.safetensors holds beside the weights, and compare every tensor with the one that was "
        "recorded, in the order of the forward pass. The exit code is 1 where one differs.",
        _EXAMPLES,
    )  # fmt: skip
    add_model(part)
    part.add_argument("--recording", metavar="FILE", help="another io.safetensors than the one beside the weights")
    part.add_argument("--dtype", help="float32, float16 or bfloat16 (default: that of the checkpoint)")
    part.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1 (default: cpu)")
    part.add_argument("--atol", type=float, help="absolute tolerance (default: that of case.json, or 1e-4)")
    part.add_argument("--rtol", type=float, help="relative tolerance (default: that of case.json, or 1e-4)")
    part.add_argument("--all", action="store_true", help="a line for each tensor, not only for the worst")
    part.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the ladder; 1 where a tensor differs."""
    from pathlib import Path

    from glm_edu.checkpoints.hub import locate
    from glm_edu.model.transformer import Transformer
    from glm_edu.parity.ladder import climb
    from glm_edu.parity.recording import Recording, not_compared

    directory = locate(given.model, given.revision)
    file = Path(given.recording) if given.recording else directory / "io.safetensors"
    case = Recording(directory.name, file, given.device, given.atol, given.rtol)
    case.check()
    ladder = climb(Transformer.from_pretrained(directory, given.dtype, given.device), case)
    left = not_compared(case, ladder)
    print(*(ladder.rungs if given.all else ()), ladder, sep="\n")
    if left:
        print(f"not compared, because no tensor here has that name: {', '.join(left)}")
    return 0 if ladder.ok else 1
