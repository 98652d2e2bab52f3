"""How close the plan comes: predicted and measured peak memory, on this machine's CPU.

    python -m benchmarks.memory            prints a table
    python -m benchmarks.memory --write    and stores it in benchmarks/results/memory.json

Each figure is taken in a process of its own: the most that the system ever held for it (VmHWM), less what it held
before, when everything was imported and a tiny model had run. Pages of files count where weights lie in them, and not
where they were only copied from.

It is taken twice. What a network needs is seen when the C library gives every freed block back to the system at once;
that is what the plan predicts. By default it keeps blocks of up to 32 MB for later use, with holes between them: the
second figure. The holes weigh in small models and vanish in large ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.machine import describe
from glm_edu import ModelConfig, Transformer, generate
from glm_edu.checkpoints import plan

RESULTS = Path(__file__).parent / "results" / "memory.json"
TOLERANCE = 0.05
_LLAMA = ModelConfig.preset("llama-7b")
SIZES = {
    "15M": replace(_LLAMA, vocab_size=32000, hidden_size=288, num_layers=6, num_heads=6, num_kv_groups=6, head_dim=48,
                   feedforward_size=768, max_positions=4096, tied_head=True, dtype="float32"),
    "15M, two clocks": replace(ModelConfig.preset("tiny-chatglm"), vocab_size=32000, hidden_size=288, num_layers=6,
                               num_heads=6, num_kv_groups=6, head_dim=48, feedforward_size=1152, max_positions=4096,
                               bos_id=31000, eos_ids=(31001,), gmask_id=31002, mask_id=31003),
    "135M": replace(_LLAMA, vocab_size=49152, hidden_size=576, num_layers=30, num_heads=9, num_kv_groups=3, head_dim=64,
                    feedforward_size=1536, max_positions=8192, tied_head=True, dtype="float32"),
    "6B, 1 layer": replace(ModelConfig.preset("chatglm2-6b"), num_layers=1, dtype="float32"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One model and one prompt. ``what``: load, generate (the prompt and two steps more), or call (every logit)."""

    size: str
    what: str
    context: int
    batch: int = 1
    dtype: str | None = None
    quantize: str | None = None


CASES = [
    *(Case(size, "load", 64) for size in SIZES),
    *(Case(size, what, context) for size in SIZES for what in ("generate", "call") for context in (512, 2048)),
    *(Case(size, "generate", 512, batch=4) for size in SIZES),
    *(Case("6B, 1 layer", what, 512, dtype="bfloat16") for what in ("load", "generate")),
    *(Case("6B, 1 layer", "generate", 512, quantize=bits) for bits in ("int8", "int4")),
]  # fmt: skip


def held(line: str) -> int:
    """Bytes by a line of the system's table for this process: VmHWM (most so far), VmRSS, RssAnon or RssFile (now)."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(words.split()[1]) * 1024 for words in status if words.startswith(line))


def in_files(model: Transformer, directory: str) -> int:
    """Bytes of the parameters that lie in mappings of files of ``directory``."""
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if directory in line]
    places = [tuple(int(end, 16) for end in fields[0].split("-")) for fields in maps]
    tensors = model.state_dict().values()
    return sum(t.nbytes for t in tensors if any(first <= t.data_ptr() < last for first, last in places))


def warm_up() -> None:
    """Let the libraries take what they keep: code that is read at the first call, and buffers for large products."""
    torch.set_num_threads(1)
    generate(Transformer(ModelConfig.preset("tiny-llama")), torch.ones(1, 64, dtype=torch.long), max_new_tokens=2)
    Transformer.from_pretrained("tang-glm")
    for dtype in (torch.float32, torch.bfloat16):
        torch.ones(1024, 1024, dtype=dtype) @ torch.ones(8192, 1024, dtype=dtype).T


def load(directory: str, **form: str | None) -> tuple[Transformer, int]:
    """The model, and the most bytes of the process's own while it was read; pages of files are not among them."""
    start, most, done = held("RssAnon"), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.001):
            most = max(most, held("RssAnon"))

    thread = threading.Thread(target=watch)
    thread.start()
    model = Transformer.from_pretrained(directory, **form)
    done.set()
    thread.join()
    return model, max(most, held("RssAnon")) - start


@torch.no_grad()
def measure(case: Case, directory: str) -> int:
    """Peak bytes of ``case`` in this process, less what it held before."""
    warm_up()
    before, pages = held("VmRSS"), held("RssFile")
    model, own = load(directory, dtype=case.dtype, quantize=case.quantize)
    mapped = in_files(model, directory)
    if case.what == "load":
        return own + mapped
    passed = held("RssFile") - pages - mapped  # pages that were only copied from: the system may drop them
    Path("/proc/self/clear_refs").write_text("5")  # what was held at most counts from here
    ids = torch.full((case.batch, case.context), 7)
    if model.config.gmask_id is not None:
        ids[:, -2:] = torch.tensor([model.config.gmask_id, model.config.bos_id])
    keep = torch.ones_like(ids)
    keep[1:, 0] = 0  # prompts of a batch are of different length
    if case.what == "generate":
        generate(model, ids, max_new_tokens=3, temperature=1.0, top_p=0.7, stop_ids=(), attention_mask=keep)
    else:
        model(ids, attention_mask=keep)
    return max(own + mapped, held("VmHWM") - before - passed)


def predict(case: Case, directory: str) -> int:
    """What the plan says of ``case``, in bytes."""
    planned = plan(directory, dtype=case.dtype, context=case.context, batch=case.batch, quantize=case.quantize)
    return {"load": planned.loading, "generate": planned.peak, "call": planned.peak_of_a_call}[case.what]


def in_a_process(case: Case, directory: str, **environment: str) -> int:
    """``measure`` in a fresh Python."""
    command = [sys.executable, "-m", "benchmarks.memory", "--measure", json.dumps(asdict(case)), directory]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
                          env=os.environ | environment)  # fmt: skip
    return int(done.stdout.split()[-1])


def random_checkpoint(config: ModelConfig, directory: str) -> None:
    """Write a checkpoint of ``config`` with small random weights."""
    with torch.device("meta"):
        model = Transformer(config)
    source = torch.Generator().manual_seed(0)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            weights = torch.empty(parameter.shape).normal_(std=0.02, generator=source)
            setattr(module, name, torch.nn.Parameter(weights))
    model.save_pretrained(directory)


def run(cases: list[Case]) -> list[dict[str, Any]]:
    """A row for each case: what was predicted and measured, in bytes, and their ratio."""
    rows: list[dict[str, Any]] = []
    for size in dict.fromkeys(case.size for case in cases):
        with tempfile.TemporaryDirectory() as directory:
            random_checkpoint(SIZES[size], directory)
            for case in tqdm([case for case in cases if case.size == size], desc=size):
                said, kept = predict(case, directory), in_a_process(case, directory)
                seen = in_a_process(case, directory, MALLOC_MMAP_THRESHOLD_=str(2**16))
                rows.append(asdict(case) | {"predicted": said, "measured": seen, "with_holes": kept,
                                            "ratio": round(said / seen, 4)})  # fmt: skip
                print(show(rows[-1:]).splitlines()[1], file=sys.stderr)
    return rows


def show(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    lines = [f"{'model':<16}{'what':<10}{'prompt':>9}  {'weights':<10}{'predicted':>12}{'measured':>12}"
             f"{'ratio':>8}{'with holes':>12}"]
    for row in rows:
        form = row["quantize"] or row["dtype"] or "float32"
        lines.append(f"{row['size']:<16}{row['what']:<10}{row['batch']:>3} x{row['context']:>5}  {form:<10}"
                     f"{row['predicted'] / 1e6:>9.1f} MB{row['measured'] / 1e6:>9.1f} MB{row['ratio']:>8.3f}"
                     f"{row['with_holes'] / 1e6:>9.1f} MB")  # fmt: skip
    worst = max(abs(row["ratio"] - 1) for row in rows)
    return "\n".join([*lines, f"Largest difference: {worst:.1%} (target: at most {TOLERANCE:.0%})."])


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--write", action="store_true", help="store the results")
    parser.add_argument("--only", default="", help="cases whose model's name begins so")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure:
        print(measure(Case(**json.loads(given.measure[0])), given.measure[1]))
        return
    rows = run([case for case in CASES if case.size.startswith(given.only)])
    print(show(rows))
    if given.write:
        RESULTS.write_text(json.dumps({"machine": describe(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
