"""Style sheets in sections: a picture carries the rules that it needs, and no others."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path


@cache
def _sections(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in path.read_text(encoding="utf-8").split("/* == ")[1:]:
        names, rules = part.split(" == */", 1)
        for name in names.split(", "):
            found[name] = found.get(name, "") + "".join(line.strip() for line in rules.splitlines())
    return found


def rules(path: Path, names: Iterable[str]) -> str:
    """The rules of the named sections of a style sheet whose sections start with ``/* == name, name == */``."""
    return "".join(_sections(path).get(name, "") for name in names)
