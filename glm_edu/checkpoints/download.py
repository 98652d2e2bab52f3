"""One file of the hub: taken up where it was cut, and kept when its hash is right.

The hub's client (huggingface_hub 2.4) starts an interrupted file from its first byte, and of what came over HTTP it
compares the size alone. So a file is fetched into ``<hash>.part``, which a later call goes on with, and becomes
``<hash>`` when its content has that hash: sha256, or git's sha1 for small files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from glm_edu.errors import CheckpointError

_PIECE = 4 * 2**20  # bytes read at once


@dataclass(frozen=True)
class HubFile:
    """A file as the hub promises it: ``hash`` is the sha256 of its content, or for small files git's sha1."""

    name: str
    size: int
    hash: str

    def is_in(self, path: Path) -> bool:
        """Whether the content of ``path`` has this hash. Reads it all; a slow one shows a bar."""
        size = path.stat().st_size
        digest = hashlib.sha256() if len(self.hash) == 64 else hashlib.sha1(b"blob %d\0" % size)
        bar = tqdm(total=size, desc=f"verifying {self.name}", unit="B", unit_scale=True, delay=1, disable=None)
        with path.open("rb") as content, bar:
            while piece := content.read(_PIECE):
                digest.update(piece)
                bar.update(len(piece))
        return digest.hexdigest() == self.hash


def fetch_file(hub_id: str, commit: str, file: HubFile, blobs: Path) -> None:
    """One file, from where it was cut; it gets its name when its hash is right."""
    from huggingface_hub import hf_hub_url

    part = blobs / f"{file.hash}.part"
    part.touch()
    if part.stat().st_size > file.size:
        part.write_bytes(b"")
    _go_on(hf_hub_url(hub_id, file.name, revision=commit), file, part)
    if not file.is_in(part):
        part.unlink()
        raise CheckpointError(
            f"{file.name} of {hub_id} came with another content than the hub promises ({file.hash}), and was thrown "
            "away. Fetch it again; if that comes again, what stands between you and the hub changes files."
        )
    part.rename(blobs / file.hash)


def _go_on(url: str, file: HubFile, part: Path) -> None:
    """Append what is missing. The client tries again for a while; here it goes on as long as each try brings bytes."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}  # compressed, a file cannot be taken up again
    while (size := part.stat().st_size) < file.size:
        try:
            with part.open("ab") as target:
                http_get(url, target, resume_size=size, headers=headers, expected_size=file.size,
                         displayed_filename=file.name)  # fmt: skip
        except Exception:
            if part.stat().st_size <= size:
                raise
