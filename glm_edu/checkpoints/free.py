"""How much memory is free: of the computer, of the container that this process runs in, or of a GPU.

The system's own figure counts what it could take back, above all pages of files that were read. A container (a cgroup)
may be allowed less than the computer has.

Official: the kernel's Documentation/filesystems/proc.rst (MemAvailable), admin-guide/cgroup-v2.rst (memory.max,
memory.current) and admin-guide/cgroup-v1/memory.rst (memory.limit_in_bytes, memory.usage_in_bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

_GROUPS = Path("/sys/fs/cgroup")
_OF_THIS_PROCESS = Path("/proc/self/cgroup")
_FILES = {  # version -> limit, use, and the line of memory.stat that counts pages of files which can be dropped
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def free_memory(device: str | torch.device = "cpu") -> int:
    """Bytes that this process could still take on ``device``. Swap is not counted: a model in swap stands still."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":  # one memory for CPU and GPU; Metal recommends a limit to its part
        room = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return min(room, psutil.virtual_memory().available)
    return min([psutil.virtual_memory().available, *container_rooms()])


def container_rooms(groups: Path = _GROUPS, of_this_process: Path = _OF_THIS_PROCESS) -> Iterator[int]:
    """What each cgroup around this process still allows, in bytes; nothing where there is no limit."""
    if not of_this_process.is_file():
        return
    for line in of_this_process.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            version, top = (1, groups / "memory") if controllers else (2, groups)
            inside = top / path.lstrip("/")
            for group in (inside, *inside.parents):
                if group == top or top in group.parents:
                    yield from _room(group, version)


def _room(group: Path, version: int) -> Iterator[int]:
    limit, used, droppable = _FILES[version]
    try:
        most = (group / limit).read_text().strip()
        held = int((group / used).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:  # the top of the tree has no limit, and a container may not see its own place in it
        return
    if most != "max":
        yield max(0, int(most) - held + int(stat.get(droppable, 0)))
