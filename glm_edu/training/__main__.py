"""``python -m glm_edu.training --config tang-glm``: train, with a progress bar; a killed run goes on where it was."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from glm_edu.errors import GLMError
from glm_edu.training.loop import CHECKPOINT, train
from glm_edu.training.settings import CONFIGS, training_config


def _configs() -> str:
    """One line for each config: its name, steps and parameters."""
    rows = (f"  {name:20} {c.steps:6,} steps {c.model.parameter_count:11,} parameters" for name, c in CONFIGS.items())
    return "\n".join(rows)


def _threads(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} should be a whole number from 1")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """What the command understands."""
    made = argparse.ArgumentParser(
        prog="python -m glm_edu.training", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a tiny GLM on Tang poems. To try it, a quarter of a minute: --config smoke\n"
        "Stop it with Ctrl-C, or kill it: the same command goes on from the last checkpoint.",
        epilog=f"configs:\n{_configs()}\n\nOUT/log.csv has a row for each step, in nats a token. To train with values "
        "of your own,\ncall train(replace(CONFIGS['smoke'], steps=300), Path('runs/mine')); "
        "glm_edu/training/README.md says more.",
    )  # fmt: skip
    made.add_argument("--config", default="tang-glm", help="one of the configs below (default: %(default)s)")
    made.add_argument("--out", type=Path, help="directory of log and checkpoints (default: runs/CONFIG)")
    made.add_argument(
        "--threads", type=_threads, default=1, help="CPU threads (default: %(default)s); they change the last digits"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit code: 0 when the run is complete, 1 after an error that is named, 130 after Ctrl-C."""
    given = parser().parse_args(arguments)
    torch.set_num_threads(given.threads)
    out = given.out or Path("runs") / given.config
    try:
        model = train(training_config(given.config), out)
    except GLMError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        there = f"goes on from {out / CHECKPOINT}" if (out / CHECKPOINT).is_file() else "starts anew: no checkpoint yet"
        print(f"\nStopped. The same command {there}.", file=sys.stderr)
        return 130
    print(f"{model.config.parameter_count:,} parameters; log and checkpoint in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
