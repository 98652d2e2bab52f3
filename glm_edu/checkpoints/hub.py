"""From what the user typed to a directory on this disk: a path, a model that ships with the package (``tang-glm``), or
an ``owner/name`` of the Hugging Face hub.

The hub's client resumes a cut download and verifies what it fetched. Code that lies beside the weights is not fetched.
"""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from glm_edu.errors import CheckpointError, CheckpointNotFoundError, InputError

_SMALL_FILES = ("*.json", "*.model", "*.txt")  # config, index, tokenizer
SHIPPED = Path(__file__).parents[1] / "pretrained"  # models that come with the package: tang-glm, tang-glm2
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def locate(path_or_hub_id: str | PathLike[str], revision: str | None = None) -> Path:
    """The directory of a checkpoint. A directory wins over a shipped model of that name.

    A hub id is fetched first: its safetensors if it has any, else its ``.bin`` files.

    Raises:
        CheckpointNotFoundError: no directory, shipped model or hub id, or the hub lacks it or cannot be reached.
        CheckpointError: a file where a directory is expected.
        InputError: a revision of a local directory, or of a shipped model.
    """
    path = Path(path_or_hub_id).expanduser()
    if path.is_dir():
        if revision is not None:
            raise InputError(f"revision={revision!r} is for a hub id, but {path} is a directory here. Leave it out.")
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file. Give the directory that holds config.json and the weights.")
    if str(path_or_hub_id) in shipped_models():
        if revision is not None:
            raise InputError(f"revision={revision!r} is for a hub id; {path} ships with this package. Leave it out.")
        return SHIPPED / path
    if not _HUB_ID.fullmatch(str(path_or_hub_id)):
        raise CheckpointNotFoundError(
            f"There is no directory {path}; it is not a hub id (owner/name), and not one of the models that ship with "
            f"this package ({', '.join(shipped_models())})."
        )
    return _fetch(str(path_or_hub_id), revision)


def shipped_models() -> list[str]:
    """The names of the models that need no network."""
    return sorted(file.parent.name for file in SHIPPED.glob("*/config.json"))


def _fetch(hub_id: str, revision: str | None) -> Path:
    import huggingface_hub  # here, because its import takes longer than all of this package

    try:
        for weights in ("*.safetensors", "*.bin"):
            patterns = [*_SMALL_FILES, weights]
            directory = Path(huggingface_hub.snapshot_download(hub_id, revision=revision, allow_patterns=patterns))
            if any(directory.glob(weights)):
                break
    except Exception as error:  # its client, the network below it, and the disk raise their own kinds
        raise CheckpointNotFoundError(
            f"There is no directory {hub_id}, and the hub did not give {hub_id}"
            f"{f' at revision {revision}' if revision else ''}: {_reason(error)} "
            "With no network, give the path of a directory that you downloaded elsewhere."
        ) from error
    return directory


def _reason(error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "it asks its readers to accept a licence and to log in first."
    if isinstance(error, errors.RepositoryNotFoundError):
        return "it has no such model (or a private one)."
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision."
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
