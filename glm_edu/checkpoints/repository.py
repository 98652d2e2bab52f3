"""A repository of the hub as a directory on this disk: only what is needed.

The place is the cache of the hub's client, so that what another program fetched is used here, and the other way round.
``download.py`` puts each file among its blobs; the client finds them there and lays out the snapshot.

Official: the layout of the cache is that of huggingface_hub's guide "Understand caching".
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from glm_edu.checkpoints.checks import CheckpointWarning
from glm_edu.checkpoints.download import HubFile, fetch_file
from glm_edu.checkpoints.files import say_bytes
from glm_edu.checkpoints.shards import WEIGHT_FILES, weight_files
from glm_edu.errors import CheckpointError, CheckpointNotFoundError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "ice_text.model", "vocab.txt")
SMALL_FILES = (
    "config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja", *TOKENIZER_FILES
)  # fmt: skip
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch_repository(hub_id: str, revision: str | None = None, weights: bool = True, verify: bool = False) -> Path:
    """The directory of a model in the cache of the hub's client; what is not in it yet is fetched.

    Args:
        hub_id: ``owner/name``.
        revision: a branch, tag or commit; None: the main branch. A whole commit that is there needs no network.
        weights: False leaves the weights out: the config and the tokenizer.
        verify: also read what is there already, and fetch it anew where its hash is wrong.

    Raises:
        CheckpointNotFoundError: the hub lacks it, or cannot be reached and the cache does not hold it, or was cut off.
        CheckpointError: what came has another hash than the hub says, or the disk has no room for it.
    """
    pinned = revision is not None and _COMMIT.fullmatch(revision)
    if pinned and not verify and (kept := in_cache(hub_id, revision, weights)) and _has_tokenizer(kept):
        return kept
    try:
        commit, promised = _listing(hub_id, revision)
    except Exception as error:  # its client, and the network below it, raise their own kinds
        if kept := in_cache(hub_id, revision, weights):
            if not _is_offline(error):
                warnings.warn(f"{hub_id} is taken from the cache, {kept}: {_reason(error)}", CheckpointWarning, 2)
            return kept
        raise _not_found(hub_id, revision, error) from error
    wanted = _needed(hub_id, promised, weights)
    try:
        _fetch(hub_id, commit, wanted, verify)
        return _lay_out(hub_id, revision, wanted)
    except CheckpointError:
        raise
    except Exception as error:
        raise _not_found(hub_id, revision, error, "What has come is kept: the same call goes on from there.") from error


def in_cache(hub_id: str, revision: str | None = None, weights: bool = True) -> Path | None:
    """The directory of a model in the cache of the hub's client, if all of it is there. Asks nobody."""
    import huggingface_hub

    try:
        directory = Path(huggingface_hub.snapshot_download(
            hub_id, revision=revision, allow_patterns=list(SMALL_FILES), local_files_only=True
        ))  # fmt: skip
        if weights:
            weight_files(directory)
    except (OSError, ValueError):  # not there, or only in part, or no name of a repository
        return None
    return directory if (directory / "config.json").is_file() else None


def _has_tokenizer(directory: Path) -> bool:
    """Whether there is one. Another program may have fetched the weights alone."""
    return any((directory / name).is_file() for name in TOKENIZER_FILES)


def _listing(hub_id: str, revision: str | None) -> tuple[str, dict[str, HubFile]]:
    """The commit of a revision, and its files by name."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(hub_id, revision=revision, files_metadata=True)
    files = {}
    for file in info.siblings or []:
        promised = file.lfs.sha256 if file.lfs else file.blob_id
        files[file.rfilename] = HubFile(file.rfilename, file.size or 0, promised or "")
    return str(info.sha), files


def _needed(hub_id: str, there: dict[str, HubFile], weights: bool) -> list[HubFile]:
    """The small files first; then the weights, in the form that ``shards.py`` would choose. Never code."""
    names = [name for name in SMALL_FILES if name in there]
    if weights:
        names += _weights_among(there)
        if not set(names) - set(SMALL_FILES):
            raise CheckpointNotFoundError(
                f"{hub_id} holds no weights that can be read: expected {' or '.join(WEIGHT_FILES)}, or their shards. "
                f"It holds {', '.join(sorted(there)) or 'nothing'}."
            )
    if unknown := [name for name in names if len(there[name].hash) not in (40, 64)]:
        raise CheckpointError(f"The hub does not say the hash of {', '.join(unknown)}, so {hub_id} is not fetched.")
    return [there[name] for name in names]


def _weights_among(names: Iterable[str]) -> list[str]:
    there = sorted(names)
    for whole in WEIGHT_FILES:
        if whole in there:
            return [whole]
        if (index := f"{whole}.index.json") in there:
            stem, _, ending = whole.partition(".")
            shard = re.compile(rf"{stem}-\d+-of-\d+\.{ending}")
            return [index, *filter(shard.fullmatch, there)]
    return []


def _fetch(hub_id: str, commit: str, wanted: list[HubFile], verify: bool) -> None:
    """Every wanted file that is not in the cache, into ``blobs``."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import WeakFileLock

    cache, folder = Path(constants.HF_HUB_CACHE), repo_folder_name(repo_id=hub_id, repo_type="model")
    blobs, snapshot, locks = cache / folder / "blobs", cache / folder / "snapshots" / commit, cache / ".locks" / folder
    for place in (blobs, locks):
        place.mkdir(parents=True, exist_ok=True)
    absent = [file for file in wanted if not _is_there(file, [snapshot / file.name, blobs / file.hash], verify)]
    _check_room(blobs, absent)
    for file in absent:
        with WeakFileLock(locks / f"{file.hash}.lock"):
            if not (blobs / file.hash).exists():  # another process may have brought it while this one waited
                fetch_file(hub_id, commit, file, blobs)


def _is_there(file: HubFile, places: list[Path], verify: bool) -> bool:
    """Whether the cache holds a file, as a link to its blob or as a file. What is wrong is taken away."""
    for place in (place for place in places if place.is_file()):
        if place.stat().st_size == file.size and (not verify or file.is_in(place)):
            return True
        place.resolve().unlink()
        place.unlink(missing_ok=True)
    return False


def _check_room(blobs: Path, absent: list[HubFile]) -> None:
    parts = [blobs / f"{file.hash}.part" for file in absent]
    needed = sum(file.size for file in absent) - sum(part.stat().st_size for part in parts if part.exists())
    if needed > (free := shutil.disk_usage(blobs).free):
        raise CheckpointError(
            f"{say_bytes(needed)} are to be fetched, and the disk of {blobs} has {say_bytes(free)} free. "
            "Make room, or set HF_HOME to a directory on another disk."
        )


class _Silent(tqdm):
    """No bar: when the client counts the files, all of them are there."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.pop("name", None)
        super().__init__(*args, **(options | {"disable": True}))


def _lay_out(hub_id: str, revision: str | None, wanted: list[HubFile]) -> Path:
    """The snapshot of the client, which finds the files among the blobs."""
    import huggingface_hub

    names = [file.name for file in wanted]
    directory = Path(huggingface_hub.snapshot_download(
        hub_id, revision=revision, allow_patterns=names, tqdm_class=_Silent
    ))  # fmt: skip
    for file in wanted:
        path = directory / file.name
        if path.resolve().name != file.hash and not file.is_in(path):  # the client fetched something by itself
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise CheckpointError(f"{file.name} of {hub_id} changed while it was fetched. Fetch it again.")
    return directory


def _is_offline(error: Exception) -> bool:
    from huggingface_hub.errors import OfflineModeIsEnabled

    return isinstance(error, OfflineModeIsEnabled)


def _not_found(hub_id: str, revision: str | None, error: Exception, kept: str = "") -> CheckpointNotFoundError:
    words = (
        f"There is no directory {hub_id}, and the hub did not give {hub_id}"
        f"{f' at revision {revision}' if revision else ''}: {_reason(error)}",
        kept,
        "With no network, give the path of a directory that you downloaded elsewhere.",
    )
    return CheckpointNotFoundError(" ".join(filter(None, words)))


def _reason(error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and the cache does not hold all of it."
    if isinstance(error, errors.GatedRepoError):
        return "it asks its readers to accept a licence and to log in first."
    if isinstance(error, errors.RepositoryNotFoundError):
        return "it has no such model (or a private one)."
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision."
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}."
