"""Names that need no network: which there are, what wins over them, and what is said about others.

Mutations that must fail here: a shipped name wins over a directory; the revision is ignored; any
subdirectory counts as a model.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_edu import Transformer, load_tokenizer
from glm_edu.checkpoints import hub
from glm_edu.checkpoints.hub import SHIPPED, locate, shipped_models
from glm_edu.errors import CheckpointNotFoundError, InputError


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the hub fails."""
    monkeypatch.setattr(hub, "_fetch", lambda *asked: pytest.fail(f"the hub was asked for {asked}"))


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another shelf: two models, a directory that is none, a stray file."""
    for name in ("b-model", "a-model", "no-model"):
        (tmp_path / "shelf" / name).mkdir(parents=True)
        if name != "no-model":
            (tmp_path / "shelf" / name / "config.json").write_text("{}")
    (tmp_path / "shelf" / "file").write_text("")
    monkeypatch.setattr(hub, "SHIPPED", tmp_path / "shelf")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "shelf"


def test_tang_glm_ships_with_the_package() -> None:
    assert "tang-glm" in shipped_models()
    assert locate("tang-glm") == SHIPPED / "tang-glm"
    assert SHIPPED.parent.name == "glm_edu"


def test_a_shipped_name_is_found_from_anywhere(shipped: Path) -> None:
    assert shipped_models() == ["a-model", "b-model"]
    assert locate("b-model") == locate(Path("b-model")) == shipped / "b-model"


def test_a_directory_of_that_name_wins(shipped: Path) -> None:
    Path("a-model").mkdir()
    assert locate("a-model") == Path("a-model")
    assert locate("b-model") == shipped / "b-model"


@pytest.mark.parametrize("name", ["no-model", "file", "c-model", "A-model", "a-model.old"])
def test_what_does_not_ship_is_refused_with_what_does(name: str, shipped: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"not a hub id .*ship with this package \(a-model, b-model\)"):
        locate(name)


def test_a_revision_of_a_shipped_model_is_refused(shipped: Path) -> None:
    for revision in ("main", "v1"):
        with pytest.raises(InputError, match=f"revision='{revision}' is for a hub id; a-model ships with this package"):
            locate("a-model", revision)


def test_both_doors_open_to_a_shipped_name() -> None:
    config, tokenizer = Transformer.from_pretrained("tang-glm").config, load_tokenizer("tang-glm")
    assert tokenizer.encode("[MASK]") == [config.mask_id, config.bos_id]
    with pytest.raises(InputError, match="ships with this package"):
        Transformer.from_pretrained("tang-glm", revision="main")
