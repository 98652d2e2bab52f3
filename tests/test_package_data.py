"""What lies in the package beside its code is also in the wheel: models, poems, results, scripts, styles."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "glm_edu"


def _shipped(patterns: dict[str, list[str]]) -> set[Path]:
    """As setuptools reads package-data: "*" is every package; a pattern's ``*`` stays within a directory."""
    homes = {"*": [path.parent for path in PACKAGE.rglob("__init__.py")], "glm_edu": [PACKAGE]}
    return {
        file for name, globs in patterns.items() for home in homes[name] for glob in globs for file in home.glob(glob)
    }


def test_every_file_beside_the_code_is_in_the_wheel() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    beside = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert {path.name for path in beside} >= {
        "tang_poems.tsv.xz",
        "model.safetensors",
        "vocab.txt",
        "live.js",
        "NOTICE",
    }
    left_out = sorted(str(path.relative_to(ROOT)) for path in beside - _shipped(tool["package-data"]))
    assert not left_out


def test_every_pattern_is_still_needed() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    unused = [glob for name, globs in tool["package-data"].items() for glob in globs if not _shipped({name: [glob]})]
    assert not unused
