"""What can happen to a directory: one mutation, or a few, chosen by a seeded generator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

VALUES: list[Any] = [
    0, -1, 1, 2, 3, 7, 16, 4096, 2**31, 10**9, 10**12, 2**63, 2**64, 10**30, 0.5, -0.0, 1e-300, 1e308, float("nan"),
    float("inf"), True, False, None, "", "2", "x" * 300, "float16", "../x", "\0", "\ud800", [], [1], [[]], [1] * 40, {},
    {"a": 1},
]  # fmt: skip


def mutate(directory: Path, random: Random) -> str:
    """Change ``directory``; what was done, in words."""
    return "; ".join(_once(directory, random) for _ in range(random.choice((1, 1, 1, 2, 3))))


def _once(directory: Path, random: Random) -> str:
    files = sorted(path for path in directory.iterdir() if path.is_file())
    if not files or random.random() < 0.04:
        return _move(directory, files, random)
    path = random.choice(files)
    kinds: list[Callable[[Path, Random], str]] = [_flip, _cut, _splice]
    if path.suffix == ".json":
        kinds += [_edit_json] * 6
    if path.suffix == ".safetensors":
        kinds += [_edit_header] * 4
    kind = random.choice(kinds)
    return f"{path.name}: {kind(path, random)}"


def _move(directory: Path, files: list[Path], random: Random) -> str:
    """Files that are absent, in each other's place, empty, or no files."""
    if len(files) > 1 and random.random() < 0.4:
        one, other = random.sample(files, 2)
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
        return f"{one.name} and {other.name} change places"
    if not files:
        return "nothing is left"
    path = random.choice(files)
    path.unlink()
    kind = random.choice(("gone", "empty", "a directory", "a dead link", "a link to itself"))
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "a directory":
        path.mkdir()
    elif kind != "gone":
        path.symlink_to(path.name if kind == "a link to itself" else "nowhere")
    return f"{path.name} is {kind}"


def _flip(path: Path, random: Random) -> str:
    """Some bits, in half of the cases among the first bytes, where headers and pickles stand."""
    content = bytearray(path.read_bytes())
    end = len(content) if random.random() < 0.5 else min(len(content), 400)
    places = [random.randrange(end) for _ in range(random.choice((1, 1, 2, 8)))] if end else []
    for place in places:
        content[place] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    return f"bits flipped at {places}"


def _cut(path: Path, random: Random) -> str:
    content = path.read_bytes()
    size = random.randrange(len(content) + 1)
    path.write_bytes(content[:size])
    return f"cut to {size} of {len(content)} bytes"


def _splice(path: Path, random: Random) -> str:
    """Bytes inserted, overwritten, repeated or taken out."""
    content = path.read_bytes()
    start = random.randrange(len(content) + 1)
    count = random.choice((1, 2, 8, 64, 1000))
    some = random.choice((bytes(count), b"\xff" * count, random.randbytes(count), content[start : start + count]))
    skip = random.choice((0, count))
    path.write_bytes(content[:start] + some + content[start + skip :])
    return f"{len(some)} bytes at {start} in place of {skip}"


def _edit_json(path: Path, random: Random) -> str:
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError):
        return _flip(path, random)
    content, done = _edit(content, random)
    try:
        path.write_text(json.dumps(content))
    except ValueError:  # two values in each other's place, one of them inside the other
        return _flip(path, random)
    return done


def _edit_header(path: Path, random: Random) -> str:
    """Edit the JSON of a safetensors header; its length then fits again, in most cases."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        return _flip(path, random)
    header, done = _edit(header, random)
    try:
        text = json.dumps(header).encode()
    except ValueError:
        return _flip(path, random)
    said = len(text) if random.random() < 0.9 else random.choice((0, 1, length, 2**31, 2**63 - 1, 2**64 - 1))
    path.write_bytes(said.to_bytes(8, "little") + text + content[8 + length :])
    return f"header {done}, its length {said}"


def _edit(content: Any, random: Random) -> tuple[Any, str]:
    """One value somewhere in ``content`` is changed, taken out, added, or exchanged with another."""
    places = list(_places(content))
    if not places or random.random() < 0.02:
        value = random.choice(VALUES)
        return value, f"all is {value!r}"[:80]
    holder, key = random.choice(places)
    kind = random.choice(("value", "value", "number", "delete", "add", "exchange"))
    if kind == "delete":
        del holder[key]
    elif kind == "add" and isinstance(holder, dict):
        holder[random.choice(("extra", "", "dtype", str(key) + "x", "rope_scaling"))] = random.choice(VALUES)
    elif kind == "exchange":
        other, place = random.choice(places)
        holder[key], other[place] = other[place], holder[key]
    elif kind == "number" and type(holder[key]) is int:
        holder[key] += random.choice((-16, -8, -1, 1, 8, 16, 2**32, 2**62))
    else:
        holder[key] = random.choice(VALUES)
    return content, f"{kind} {key!r}"[:80]


def _places(content: Any) -> list[tuple[Any, Any]]:
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else []
    return [place for key in keys for place in ((content, key), *_places(content[key]))]
