"""Time and memory of loading a sharded checkpoint of random numbers, beside reading its bytes and beside transformers.

    python -m benchmarks.load            prints a table
    python -m benchmarks.load --write    and stores it in benchmarks/results/load.json

Every measurement is a process of its own; the clock starts when everything is imported. The ways take turns, so that
what else the machine does slows all of them, and the median of the turns counts. The page cache is warm, except in the
rows that say cold: there, the system was asked to forget the files first.

Two kinds of memory are told apart. Own memory (RssAnon) is what a process takes for itself. Pages of mapped files come
on top (both together: VmHWM); the system can drop them at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.machine import describe
from benchmarks.memory import held
from glm_edu import ModelConfig, Transformer
from glm_edu.checkpoints.shards import weight_files
from glm_edu.checkpoints.sketch import sketch

RESULTS = Path(__file__).parent / "results" / "load.json"
TURNS, MOST_TIME, MOST_MEMORY = 3, 1.1, 1.05
SHARD = "1GB"
BUFFER = 16 * 2**20
LAYERS = {"mapped": 6, "cast": 3}  # of 28 or 32: what fits beside the page cache on a small machine
SOURCES = {"chatglm2": ModelConfig.preset("chatglm2-6b"), "llama": ModelConfig.preset("llama-7b")}


def read_through(directory: str) -> None:
    """Every byte of the weights, through one small buffer: as fast as the system hands them out."""
    buffer = bytearray(BUFFER)
    for path in weight_files(Path(directory)):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def read_whole(directory: str) -> list[torch.Tensor]:
    """Every byte of the weights, into memory that stays: what a load without mappings has to do at least."""
    held_bytes = []
    for path in weight_files(Path(directory)):
        held_bytes.append(torch.empty(path.stat().st_size, dtype=torch.uint8))
        with path.open("rb", buffering=0) as file:
            room = memoryview(held_bytes[-1].numpy())
            while room and (count := file.readinto(room)):
                room = room[count:]
    return held_bytes


def ours(directory: str, dtype: str | None = None) -> Transformer:
    """``from_pretrained`` of this package. It looks at every weight, as it warns of NaN and infinity."""
    return Transformer.from_pretrained(directory, dtype=dtype)


def theirs(directory: str, dtype: str = "float16") -> Any:
    """``from_pretrained`` of transformers, which maps too, and leaves the pages for the first pass to read."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)


def theirs_touched(directory: str, dtype: str = "float16") -> Any:
    """The same, and every weight looked at once, as ours does."""
    model = theirs(directory, dtype)
    for parameter in model.parameters():
        parameter.sum()
    return model


WAYS: dict[str, Callable[[str], Any]] = {
    "read through a buffer": read_through,
    "read into memory": read_whole,
    "glm_edu": ours,
    "transformers": theirs,
    "transformers, every weight looked at": theirs_touched,
    "glm_edu, float32": lambda directory: ours(directory, "float32"),
    "transformers, float32": lambda directory: theirs(directory, "float32"),
}


def measure(way: str, directory: str) -> dict[str, float]:
    """Seconds, own bytes and all bytes (at most, less those before) of one way in this process."""
    if "transformers" in way:
        import transformers

        transformers.logging.disable_progress_bar()
        transformers.AutoModelForCausalLM.from_config(
            transformers.LlamaConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=8)
        )
    Transformer.from_pretrained("tang-glm")
    before, own, done = held("VmRSS"), held("RssAnon"), threading.Event()
    most = own

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, held("RssAnon"))

    Path("/proc/self/clear_refs").write_text("5")
    thread = threading.Thread(target=watch)
    thread.start()
    start = time.perf_counter()
    kept = WAYS[way](directory)
    seconds = time.perf_counter() - start
    done.set()
    thread.join()
    result = {"seconds": seconds, "own": max(most, held("RssAnon")) - own, "all": held("VmHWM") - before}
    del kept
    return result


def in_a_process(way: str, directory: str, cold: bool) -> dict[str, float]:
    """``measure`` in a fresh Python; ``cold``: the system forgets the files first."""
    for path in weight_files(Path(directory)):
        with path.open("rb") as file:
            if cold:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [sys.executable, "-m", "benchmarks.load", "--measure", way, directory]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def random_checkpoint(config: ModelConfig, directory: str) -> int:
    """Write shards of small random numbers in the dtype of ``config``; the bytes of the weights."""
    model = sketch(config)
    source = torch.Generator().manual_seed(0)
    some = torch.empty(2**22).normal_(std=0.02, generator=source).to(next(model.parameters()).dtype)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            weights = some.repeat(-(-parameter.numel() // len(some)))[: parameter.numel()].view(parameter.shape)
            setattr(module, name, torch.nn.Parameter(weights))
    model.save_pretrained(directory, max_shard_size=SHARD)
    return sum(parameter.nbytes for parameter in model.parameters())


def compare(layout: str, kind: str, ways: list[str], cold: bool, turns: int) -> dict[str, Any]:
    """All ways over one checkpoint, in turns."""
    config = replace(SOURCES[layout], num_layers=LAYERS[kind])
    with tempfile.TemporaryDirectory() as directory:
        weights = random_checkpoint(config, directory)
        os.sync()
        for way in ways[1:]:  # warm the cache, and what each way reads besides
            in_a_process(way, directory, cold)
        rounds = [
            {way: in_a_process(way, directory, cold) for way in ways}
            for _ in tqdm(range(turns), desc=f"{layout}, {kind}{', cold' * cold}")
        ]
    held_by = weights * (2 if kind == "cast" else 1)
    rows = [_row(way, rounds, held_by) for way in ways]
    return {"layout": layout, "layers": LAYERS[kind], "kind": kind, "cold": cold, "gb_in_the_files": weights / 1e9,
            "rows": rows}  # fmt: skip


def _row(way: str, rounds: list[dict[str, dict[str, float]]], weights: int) -> dict[str, Any]:
    """Medians over the turns; times over those of reading in the same turn."""

    def median(value: Callable[[dict[str, dict[str, float]]], float]) -> float:
        return round(statistics.median(value(turn) for turn in rounds), 3)

    return {
        "way": way,
        "seconds": median(lambda turn: turn[way]["seconds"]),
        "over_read_through": median(lambda turn: turn[way]["seconds"] / turn["read through a buffer"]["seconds"]),
        "over_read_whole": median(lambda turn: turn[way]["seconds"] / turn["read into memory"]["seconds"]),
        "own_over_weights": median(lambda turn: turn[way]["own"] / weights),
        "all_over_weights": median(lambda turn: turn[way]["all"] / weights),
    }


def show(results: list[dict[str, Any]]) -> str:
    """A table for each checkpoint."""
    lines = []
    for result in results:
        cache = "cold" if result["cold"] else "warm"
        lines.append(f"\n{result['layout']}, {result['layers']} layers, {result['gb_in_the_files']:.2f} GB of float16, "
                     f"page cache {cache}")  # fmt: skip
        lines.append(f"{'':<38}{'seconds':>8}{'/ buffer':>10}{'/ memory':>10}{'own mem.':>10}{'with pages':>11}")
        for row in result["rows"]:
            lines.append(f"{row['way']:<38}{row['seconds']:>8.2f}{row['over_read_through']:>10.2f}"
                         f"{row['over_read_whole']:>10.2f}{row['own_over_weights']:>10.3f}"
                         f"{row['all_over_weights']:>11.3f}")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--write", action="store_true", help="store the results")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(*given.measure)))
        return
    reads = ["read through a buffer", "read into memory"]
    peers = ["transformers", "transformers, every weight looked at"]
    results = [
        compare("chatglm2", "mapped", [*reads, "glm_edu"], cold=False, turns=given.turns),
        compare("llama", "mapped", [*reads, "glm_edu", *peers], cold=False, turns=given.turns),
        compare("llama", "cast", [*reads, "glm_edu, float32", "transformers, float32"], cold=False, turns=given.turns),
        compare("chatglm2", "mapped", [*reads, "glm_edu"], cold=True, turns=given.turns),
    ]
    print(show(results))
    if given.write:
        content = {"machine": describe(), "targets": {"time": MOST_TIME, "memory": MOST_MEMORY}, "results": results}
        RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
