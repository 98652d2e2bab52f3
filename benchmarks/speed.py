"""Prefill and decode of ``glm_edu`` beside ``transformers``: same weights, same dtype, one run, turn and turn about.

    python -m benchmarks.speed            prints a table
    python -m benchmarks.speed --write    and stores it in benchmarks/results/speed.json

Beside every decoding speed stands a ceiling: the speed at which this machine reads memory, measured between the turns.
A step of batch 1 cannot be faster than reading each weight once, so its share of the ceiling is what is left to gain.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tqdm import tqdm
from transformers import DynamicCache, StaticCache

from benchmarks.machine import describe
from benchmarks.peers import SIZES, Pair, config_of, pair
from glm_edu import KVCache, ModelConfig, generate

RESULTS = Path(__file__).parent / "results" / "speed.json"
LENGTHS = (64, 512, 2048)  # tokens of a prompt, and of the context that a step goes on from
CASES = [(size, family, "float32") for size in SIZES for family in ("llama", "glm")] + [
    (size, "glm", "bfloat16") for size in ("135M", "6B, 2 layers")
]
SIDES = ("glm_edu", "dynamic", "static")  # the last two: the caches of transformers
Call = Callable[[], Any]


def seconds(call: Call) -> float:
    """What one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ceiling(table: torch.Tensor) -> float:
    """Bytes a second at which memory is read: the faster of a matrix-vector product and a sum over ``table``."""
    row = torch.ones(table.shape[1])
    return table.nbytes / min(seconds(lambda: torch.mv(table, row)), seconds(table.sum))


def in_turns(calls: dict[str, Call], table: torch.Tensor, budget: float, least: int) -> dict[str, Any]:
    """Seconds of each call (the median of its turns), and the fastest reading of memory between them.

    Each turn runs every call once, so that what else the machine does slows all of them; the ratio is the median of
    each turn's own. The first turn is thrown away. ``least`` turns count, and more until ``budget`` seconds are over.
    The memory is read before each call, not once a turn: so no call finds the weights in the processor's cache because
    another one has just used them.
    """
    turns: list[dict[str, float]] = []
    reads: list[float] = []
    start = time.perf_counter()
    while len(turns) <= least or time.perf_counter() - start < budget:
        turn = {}
        for name, call in calls.items():
            reads.append(ceiling(table))
            turn[name] = seconds(call)
        turns.append(turn)
    del turns[0]
    theirs = [name for name in calls if name != "glm_edu"]
    best = min(theirs, key=lambda name: statistics.median(turn[name] for turn in turns))
    return {
        **{name: statistics.median(turn[name] for turn in turns) for name in calls},
        "ratio": statistics.median(turn[best] / turn["glm_edu"] for turn in turns),
        "best_peer": best, "ceiling": max(reads), "turns": len(turns),
    }  # fmt: skip


def prefills(models: Pair, ids: torch.Tensor) -> dict[str, Call]:
    """A prompt from nothing to the logits that its first new token is chosen from."""
    ours, theirs = models.ours, models.theirs
    return {
        "glm_edu": lambda: ours(ids, cache=KVCache(), last_only=True),
        "dynamic": lambda: theirs(ids, past_key_values=DynamicCache(config=theirs.config), logits_to_keep=1),
        "static": lambda: theirs(ids, past_key_values=_static(theirs, ids.shape[1]), logits_to_keep=1),
    }


def decodes(models: Pair, ids: torch.Tensor, steps: int, room: int) -> dict[str, Call]:
    """``steps`` further tokens, one at a time; each call goes on from where the last one stopped."""
    ours, theirs = models.ours, models.theirs
    cache, dynamic, static = KVCache(), DynamicCache(config=theirs.config), _static(theirs, ids.shape[1] + room)
    ours(ids, cache=cache, last_only=True)
    for theirs_cache in (dynamic, static):
        theirs(ids, past_key_values=theirs_cache, logits_to_keep=1)
    token = ids[:, :1]

    def repeat(step: Call) -> Call:
        return lambda: [step() for _ in range(steps)]

    return {
        "glm_edu": repeat(lambda: ours(token, cache=cache, last_only=True)),
        "dynamic": repeat(lambda: theirs(token, past_key_values=dynamic, logits_to_keep=1)),
        "static": repeat(lambda: theirs(token, past_key_values=static, logits_to_keep=1)),
    }


def generations(models: Pair, ids: torch.Tensor, count: int) -> dict[str, Call]:
    """What a user calls: greedy ``generate`` of either package, the loop around the network included."""
    settings = dict(max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0, eos_token_id=None)
    return {
        "glm_edu": lambda: generate(models.ours, ids, max_new_tokens=count, stop_ids=()),
        "dynamic": lambda: models.theirs.generate(ids, **settings),
    }


def _static(theirs: Any, length: int) -> StaticCache:
    return StaticCache(config=theirs.config, max_cache_len=length)


def read_bytes(config: ModelConfig, context: int) -> int:
    """Bytes that one step must read: every weight but the embedding's table, and the keys and values so far."""
    tables = 0 if config.tied_head else config.vocab_size * config.hidden_size
    cached = 2 * config.num_layers * context * config.num_kv_groups * config.head_dim
    return (config.parameter_count - tables + cached) * getattr(torch, config.dtype).itemsize


@torch.no_grad()
def measure(size: str, family: str, dtype: str, budget: float) -> dict[str, Any]:
    """All figures of one case."""
    config = config_of(size, family, dtype)
    models, table = pair(config), torch.ones(65536, 4096)
    found: dict[str, Any] = {"size": size, "family": family, "dtype": dtype, "parameters": config.parameter_count,
                             "difference": models.difference, "prefill": {}, "decode": {}}  # fmt: skip
    steps = max(2, round(0.25 / (read_bytes(config, 0) / 20e9)))  # about a quarter of a second
    for length in LENGTHS:
        ids = torch.randint(3, 1000, (1, length), generator=torch.Generator().manual_seed(length))
        found["prefill"][length] = in_turns(prefills(models, ids), table, budget, least=2)
        turns = 6
        timed = in_turns(decodes(models, ids, steps, room=steps * (turns + 1)), table, 0.0, least=turns)
        timed |= {side: timed[side] / steps for side in SIDES}
        needed = read_bytes(config, length + steps * turns // 2)
        shares = {f"{side}_of_ceiling": needed / timed[side] / timed["ceiling"] for side in SIDES}
        found["decode"][length] = timed | shares | {"bytes": needed}
    ids = torch.randint(3, 1000, (1, LENGTHS[0]), generator=torch.Generator().manual_seed(0))
    found["generate"] = in_turns(generations(models, ids, count=max(4, min(64, steps))), table, budget, least=2)
    return found


def table_of(found: dict[str, Any]) -> str:
    """One case for a terminal."""
    lines = [f"{found['size']}, {found['family']}, {found['dtype']}: {found['parameters']:,} parameters, "
             f"logits differ by {found['difference']:.0e}"]  # fmt: skip
    for kind in ("prefill", "decode"):
        for length, row in found[kind].items():
            share = f", {row['glm_edu_of_ceiling']:.0%} of {row['ceiling'] / 1e9:.1f} GB/s" if kind == "decode" else ""
            peers = ", ".join(f"{side} {row[side] * 1e3:.1f}" for side in SIDES[1:])
            time_of = f"{row['glm_edu'] * 1e3:9.1f} ms ({peers})"
            lines.append(f"  {kind:8} {length:5}  {row['ratio']:.2f}x   {time_of}{share}")
    row = found["generate"]
    lines.append(f"  generate        {row['ratio']:.2f}x   {row['glm_edu'] * 1e3:9.1f} ms ({row['dynamic'] * 1e3:.1f})")
    return "\n".join(lines)


def store(found: dict[str, Any]) -> None:
    """Write one case into the stored results, in the place of what stood there; another machine begins anew."""
    machine = describe() | {"transformers": transformers.__version__}
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    cases = stored["cases"] if stored.get("machine") == machine else []
    by_key = {(case["size"], case["family"], case["dtype"]): case for case in [*cases, found]}
    content = {"machine": machine, "cases": [by_key[case] for case in CASES if case in by_key]}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure the cases, print them, and store them if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="SIZE", choices=list(SIZES), help="one size of: %(choices)s")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds a row (default %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"store each case in {RESULTS.name} as it is done")
    given = parser.parse_args(arguments)
    for case in tqdm([case for case in CASES if given.only in (None, case[0])], unit="case"):
        found = measure(*case, given.budget)
        tqdm.write(table_of(found))
        if given.write:
            store(found)


if __name__ == "__main__":
    main()
