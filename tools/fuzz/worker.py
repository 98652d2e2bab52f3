"""One process that loads mutated directories: it says what came of each, and what it did that a loader must not do."""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from random import Random

import torch

from tools.fuzz.mutations import mutate
from tools.fuzz.verdict import Wrong, verdict

MOST = 150_000_000  # bytes that a load of a few kilobytes may take
_FORBIDDEN = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod",
              "os.system", "os.exec", "os.fork", "subprocess.Popen", "socket.", "shutil.")  # fmt: skip
_seen: list[str] = []
_watching = False


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event.startswith(_FORBIDDEN):
        _seen.append(f"{event} {arguments!r}"[:200])


def _most_held() -> int:
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def _listing(directory: Path) -> list[tuple[str, int, bytes]]:
    return [(p.name, p.lstat().st_size, p.read_bytes() if p.is_file() else b"") for p in sorted(directory.iterdir())]


def one(seed: int, bases: list[Path], place: Path) -> dict[str, str]:
    """What comes of the mutation that ``seed`` makes, in a fresh copy below ``place``."""
    global _watching
    random = Random(seed)
    base = random.choice(bases)
    directory = place / base.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, directory)
    done = mutate(directory, random)
    before, around, held = _listing(directory), sorted(os.listdir(place)), _most_held()
    _seen.clear()
    try:
        _watching = True
        outcome, detail = verdict(directory), ""
    except Wrong as error:
        outcome, detail = "WRONG", str(error)
    except BaseException as error:  # a panic of a library is no Exception
        trace = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(trace.filename).name}:{trace.lineno}"
        outcome, detail = "FOREIGN ERROR", f"{type(error).__name__}: {error} ({where})"
    finally:
        _watching = False
    if _seen:
        outcome, detail = "FORBIDDEN", "; ".join(_seen)
    if _listing(directory) != before or sorted(os.listdir(place)) != around:
        outcome, detail = "WRITTEN", "the directory, or what is around it, has changed"
    if (grown := _most_held() - held) > MOST:
        outcome, detail = "HUGE", f"{grown} bytes"
    return {"base": base.name, "mutation": done, "outcome": outcome, "detail": detail[:600]}


def main() -> None:
    """Answer seeds that come line by line. Arguments: the directory of the bases, and a place to work in."""
    torch.set_num_threads(1)
    bases, place = sorted(Path(sys.argv[1]).iterdir()), Path(sys.argv[2])
    for base in bases:  # imports and buffers come with the first load, and are not counted
        verdict(base)
    sys.addaudithook(_audit)
    for line in sys.stdin:
        print(json.dumps(one(int(line), bases, place)), flush=True)


if __name__ == "__main__":
    main()
