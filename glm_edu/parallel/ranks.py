"""The processes that share a model, one a device: those that ``torchrun`` started, or some on this computer.

A rank that waits for another waits at most ``timeout`` seconds. A rank that fails ends all of them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.multiprocessing.spawn import ProcessException
from tqdm import tqdm

from glm_edu.errors import GLMError, InputError

TIMEOUT = 600.0  # seconds: the slowest disk of a class may need minutes for its part of 12 GB


class RankError(GLMError, RuntimeError):
    """One of several processes failed, so all of them were ended."""


@contextmanager
def joined(timeout: float = TIMEOUT, **rendezvous: Any) -> Iterator[torch.device]:
    """Meet the other processes of ``torchrun``; the device of this one, "cuda:i" where there is one a process.

    Args:
        timeout: seconds after which waiting for another rank is an error.
        rendezvous: ``init_method``, ``rank`` and ``world_size`` where torchrun did not set the environment.

    Raises:
        InputError: the process was not started by torchrun.
    """
    if not rendezvous and not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise InputError("This process has no partners. Start it by `torchrun --standalone --nproc-per-node N ...`.")
    local = int(os.environ.get("LOCAL_RANK", rendezvous.get("rank", 0)))
    device = torch.device("cuda", local) if torch.cuda.device_count() > local else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout), **rendezvous)
    yield device
    dist.destroy_process_group()  # not after an error: partners would fail too, and hide which rank was first


def this_rank() -> tuple[int, int]:
    """The number of this process, from 0, and how many have joined.

    Raises:
        InputError: none has.
    """
    if not dist.is_initialized():
        raise InputError("No processes have joined. Work inside `with joined():`, under torchrun or run_local().")
    return dist.get_rank(), dist.get_world_size()


def no_bars() -> None:
    """No progress bars from this process: those of several would write over each other."""
    tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)


def run_local(ranks: int, function: Callable[..., Any], *args: Any, timeout: float = TIMEOUT) -> list[Any]:
    """What ``function(*args)`` returns in each of ``ranks`` new processes on this computer's CPU, joined.

    Function, arguments and results travel between processes: a function of a module, tensors, plain values.

    Raises:
        RankError: a rank failed, or they were not done after ``timeout`` seconds.
    """
    torch.multiprocessing.get_context("forkserver").set_forkserver_preload(
        [__package__, "torch._dynamo", function.__module__]  # imported once, in the process that all are forked from
    )
    with tempfile.TemporaryDirectory() as directory:
        started = torch.multiprocessing.start_processes(
            _rank, (ranks, Path(directory), timeout, function, args), ranks, join=False, start_method="forkserver"
        )
        _wait(started, timeout)
        return [torch.load(Path(directory, str(rank)), weights_only=True) for rank in range(ranks)]


def _wait(started: Any, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    try:
        while not started.join(timeout=1.0):
            if time.monotonic() > deadline:
                raise RankError(f"{len(started.processes)} ranks were not done after {timeout:g} s, and were ended.")
    except ProcessException as error:
        reason = str(error).strip().splitlines()[-1]
        raise RankError(f"Rank {error.error_index} of {len(started.processes)} failed: {reason}") from error
    finally:
        for process in started.processes:
            process.kill()


def _rank(rank: int, ranks: int, directory: Path, timeout: float, function: Callable[..., Any], args: Any) -> None:
    torch.set_num_threads(1)
    no_bars()
    meeting = f"file://{directory}/meeting"
    with joined(timeout, init_method=meeting, rank=rank, world_size=ranks):
        torch.save(function(*args), directory / str(rank))
