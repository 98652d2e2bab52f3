"""Directories to load, and copies of them to break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_models import small_model


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A saved small model by kind and form; each is written once, and is not to be changed."""
    made: dict[tuple[Any, ...], Path] = {}

    def save(kind: str = "llama", max_shard_size: str | int = "5GB", safe_serialization: bool = True) -> Path:
        key = (kind, max_shard_size, safe_serialization)
        if key not in made:
            made[key] = tmp_path_factory.mktemp(kind)
            small_model(kind).save_pretrained(made[key], max_shard_size, safe_serialization)
        return made[key]

    return save


@pytest.fixture
def broken(saved: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a saved model for a test to break."""

    def copy(*args: Any, **form: Any) -> Path:
        return Path(shutil.copytree(saved(*args, **form), tmp_path / "model"))

    return copy
