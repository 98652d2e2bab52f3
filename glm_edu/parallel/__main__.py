"""``torchrun --standalone --nproc-per-node N -m glm_edu.parallel DIR``: chat with a model that N devices share."""

from __future__ import annotations

import argparse
import sys

import torch

from glm_edu.checkpoints.files import say_bytes
from glm_edu.errors import GLMError
from glm_edu.parallel.load import load_parallel
from glm_edu.parallel.ranks import joined, no_bars, this_rank
from glm_edu.parallel.report import held_bytes
from glm_edu.text import load_tokenizer
from glm_edu.text.chat import chat


def main(arguments: list[str] | None = None) -> int:
    """0 when the answer is written, 1 after an error that the user can mend. Every rank computes, the first prints."""
    parser = argparse.ArgumentParser(
        prog="torchrun --standalone --nproc-per-node N -m glm_edu.parallel",
        description="Cut a model over N devices (one GPU a process where there are GPUs) and ask it one question.",
    )
    parser.add_argument("directory", help="an official directory, a hub id, or tang-glm")
    parser.add_argument("question", help="what the user says")
    parser.add_argument("--dtype", choices=("float16", "bfloat16", "float32"), help="of the weights")
    parser.add_argument("--max-new-tokens", type=int, default=256, metavar="N")
    parser.add_argument("--temperature", type=float, help="0 takes the likeliest token; default: the model's own")
    parser.add_argument("--seed", type=int, default=0, help="of the sampling; the same on every rank")
    options = parser.parse_args(arguments)
    try:
        with joined() as device:
            answer(options, device)
    except GLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def answer(options: argparse.Namespace, device: torch.device) -> None:
    """Load this rank's part and stream the answer; sampling is seeded, so that all ranks choose the same tokens."""
    rank, ranks = this_rank()
    if rank:
        no_bars()
    model = load_parallel(options.directory, options.dtype, device)
    print(f"rank {rank} of {ranks}: {say_bytes(held_bytes(model))} of weights on {device}", file=sys.stderr, flush=True)
    pieces = chat(
        model, load_tokenizer(options.directory), [{"role": "user", "content": options.question, "metadata": ""}],
        max_new_tokens=options.max_new_tokens, temperature=options.temperature,
        generator=torch.Generator(device).manual_seed(options.seed),
    )  # fmt: skip
    for piece in pieces:
        if rank == 0:
            print(piece, end="", flush=True)
    if rank == 0:
        print()


if __name__ == "__main__":
    sys.exit(main())
