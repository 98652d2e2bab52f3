"""One linear of ChatGLM-6B in six forms: how fast is it, and what does a quantized matrix save beside what it costs?

    python -m benchmarks.quantization            prints a table
    python -m benchmarks.quantization --write    and stores it in benchmarks/results/quantization.json

The layer is the widest of a block, 4096 inputs and 16384 outputs: larger than a processor's cache in most forms, and
before each call the cache is filled with something else. One row of input is a decoding step, many are a prompt.
"unpacked" is what the official code does: make the float matrix anew at every call, then multiply. The others take the
kernel that ``QuantizedLinear`` chooses, which for many rows is the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from tqdm import tqdm

from benchmarks.machine import describe
from benchmarks.speed import ceiling, seconds
from glm_edu.linear import Linear
from glm_edu.quantization import QuantizedLinear, kernels

RESULTS = Path(__file__).parent / "results" / "quantization.json"
SHAPE = (16384, 4096)
ROWS = (1, 8, 64, 512)
TURNS = 5
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def layers() -> dict[str, Linear | QuantizedLinear]:
    """The same matrix in every form, by name."""
    torch.manual_seed(0)
    made: dict[str, Linear | QuantizedLinear] = {}
    for name, dtype in DTYPES.items():
        whole = Linear(SHAPE[1], SHAPE[0], bias=False).to(dtype)
        made[name] = whole
        made |= {f"int{bits}, {name}": QuantizedLinear(whole, bits) for bits in (8, 4)}
    return made


def nbytes(layer: Linear | QuantizedLinear) -> int:
    """Bytes of the matrix, and of its scales."""
    return sum(tensor.nbytes for tensor in layer.state_dict().values())


def time_of(layer: Linear | QuantizedLinear, x: torch.Tensor, filler: torch.Tensor) -> float:
    """Seconds of a call that finds nothing of the matrix in the cache."""
    filler.sum()
    return seconds(lambda: layer(x))


@torch.no_grad()
def measure(rows: int, turns: int) -> dict[str, Any]:
    """Seconds of each form for ``rows`` rows: the median of the turns, and the ratio to bfloat16 turn by turn."""
    made, unpacked, filler = layers(), layers(), torch.ones(2**17, 1024)  # 512 MB
    inputs = {name: torch.randn(rows, SHAPE[1]).to(dtype) for name, dtype in DTYPES.items()}
    found: dict[str, list[float]] = {}
    reads = []
    for name, layer in made.items():
        layer(inputs[name.split(", ")[-1]][:1])  # a model that has decoded has its int4 numbers in the kernel's order
    for _ in range(turns + 1):
        for name, layer in made.items():
            x = inputs[name.split(", ")[-1]]
            found.setdefault(name, []).append(time_of(layer, x, filler))
            if isinstance(layer, QuantizedLinear) and layer.kernel(rows) != kernels.PLAIN:
                with patch.object(kernels, "choose", lambda *_: kernels.PLAIN):
                    found.setdefault(f"{name}, unpacked", []).append(time_of(unpacked[name], x, filler))
        reads.append(ceiling(filler))
    half = found["bfloat16"][1:]
    forms: dict[str, dict[str, Any]] = {
        name: {"seconds": statistics.median(times[1:]),
               "as_fast_as_bfloat16": statistics.median(h / t for h, t in zip(half, times[1:], strict=True))}
        for name, times in found.items()
    }  # fmt: skip
    for name, layer in made.items():
        forms[name] |= {"bytes": nbytes(layer)}
        forms[name] |= {"kernel": layer.kernel(rows)} if isinstance(layer, QuantizedLinear) else {}
    return {"rows": rows, "ceiling": max(reads), "turns": turns, "forms": forms}


def table_of(found: dict[str, Any]) -> str:
    """One number of rows for a terminal."""
    lines = [f"{found['rows']} rows; memory was read at {found['ceiling'] / 1e9:.1f} GB/s"]
    for name, form in found["forms"].items():
        kernel = form.get("kernel", "")
        lines.append(f"  {name:24}{form['as_fast_as_bfloat16']:6.2f}x   {form['seconds'] * 1e3:9.2f} ms   {kernel}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and store if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantization", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=TURNS, help="calls of each form (default %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"store the results in {RESULTS.name}")
    given = parser.parse_args(arguments)
    cases = []
    for rows in tqdm(ROWS, unit="case"):
        cases.append(measure(rows, given.turns))
        tqdm.write(table_of(cases[-1]))
    if given.write:
        result = {"machine": describe(), "shape": SHAPE, "cases": cases}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
