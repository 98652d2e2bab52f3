"""``python -m glm_edu.capstone MODEL``: measure one model on this machine; ``--write`` stores it for the book."""

from __future__ import annotations

import argparse
import sys

from glm_edu.capstone.measure import measure, store
from glm_edu.checkpoints.files import say_bytes
from glm_edu.errors import GLMError


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 after an error, said on stderr."""
    parser = argparse.ArgumentParser(prog="python -m glm_edu.capstone", description=__doc__)
    parser.add_argument("model", help="a directory, a short name such as smollm2-135m, or owner/name on the hub")
    parser.add_argument("--dtype", help="float32, float16 or bfloat16; the checkpoint's own if left out")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 or mps")
    parser.add_argument("--quantize", choices=("int8", "int4"), help="weights of the blocks in 8 or 4 bits")
    parser.add_argument("--write", action="store_true", help="store the results where the book reads them")
    options = parser.parse_args(arguments)
    try:
        results = measure(options.model, options.dtype, options.device, options.quantize)
    except GLMError as error:
        print(error, file=sys.stderr)
        return 1
    took = results["seconds"]
    print(f"{results['model']} on {results['machine']['runs_on']}: loaded in {took['load']:.2f} s, first token after "
          f"{took['first_token']:.2f} s, then {1 / took['token']:.1f} tokens/s, at most "
          f"{say_bytes(results['peak_bytes'])}")  # fmt: skip
    for language, answer in results["answers"].items():
        print(f"{language}: {answer}")
    if options.write:
        print(f"stored in {store(results).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
