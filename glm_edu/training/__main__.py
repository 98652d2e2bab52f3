"""``python -m glm_edu.training --config tang-glm``: train, with a progress bar; a killed run goes on where it was."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from glm_edu.errors import GLMError
from glm_edu.training.loop import train
from glm_edu.training.settings import CONFIGS, training_config


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m glm_edu.training", description="Train a tiny GLM on Tang poems.")
    parser.add_argument("--config", default="tang-glm", help=f"one of {', '.join(CONFIGS)} (default: tang-glm)")
    parser.add_argument("--out", type=Path, help="directory of log and checkpoints (default: runs/CONFIG)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1; results depend on it)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    out = arguments.out or Path("runs") / arguments.config
    try:
        model = train(training_config(arguments.config), out)
    except GLMError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nStopped. The same command goes on from the checkpoint in {out}.", file=sys.stderr)
        return 130
    print(f"{model.config.parameter_count:,} parameters; log and checkpoint in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
