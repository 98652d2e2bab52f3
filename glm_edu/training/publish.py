"""Turn a finished run into a directory that ships with the package: ``python -m glm_edu.training.publish tang-glm``.

Official names and config, weights in float16 to be small; ``torch_dtype`` says float32, so that they are computed with
in float32. ``vocab.txt`` and the log of the run lie beside them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from glm_edu.checkpoints.hub import SHIPPED
from glm_edu.errors import GLMError
from glm_edu.model.transformer import Transformer
from glm_edu.training.loop import read_checkpoint
from glm_edu.training.settings import training_config
from glm_edu.training.vocabulary import tang_tokenizer


def load_run(name: str, run: Path) -> Transformer:
    """The network of a run's last checkpoint, in evaluation mode.

    Raises:
        ConfigError: there is no training config of that name.
        CheckpointNotFoundError: the run has no checkpoint.
        CheckpointError: the checkpoint cannot be read, or is one of another run.
    """
    config = training_config(name)
    model = Transformer(config.model)
    model.load_state_dict(read_checkpoint(config, run)["model"])
    return model.eval()


def publish(name: str, run: Path, directory: Path) -> None:
    """Write the official-layout directory of a run."""
    load_run(name, run).half().save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}, indent=2) + "\n")
    tang_tokenizer().save(directory / "vocab.txt")
    shutil.copyfile(run / "log.csv", directory / "log.csv")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m glm_edu.training.publish",
        description="Make a finished run a model that ships with the package.",
    )
    parser.add_argument("name", help="a training config, tang-glm or tang-glm2")
    parser.add_argument("--run", type=Path, help="directory of the run (default: runs/NAME)")
    parser.add_argument("--out", type=Path, help="directory to write (default: the one in the package)")
    arguments = parser.parse_args()
    directory = arguments.out or SHIPPED / arguments.name
    try:
        publish(arguments.name, arguments.run or Path("runs") / arguments.name, directory)
    except GLMError as error:
        sys.exit(str(error))
    print(f"{directory.name}: {(directory / 'model.safetensors').stat().st_size:,} bytes of weights")


if __name__ == "__main__":
    main()
