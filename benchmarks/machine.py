"""The machine that a result was measured on, in words that name no host: results are stored with it."""

from __future__ import annotations

import platform
from typing import Any

import psutil
import torch

from glm_edu.capstone.measure import processor


def describe() -> dict[str, Any]:
    """Processor, cores, memory in GB, threads, and the versions that computed."""
    return {
        "processor": processor(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
