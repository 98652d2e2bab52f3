"""What a model needed and how long it took on the machine at hand, and what it said there; stored for the book with
``--write``.

    python -m glm_edu.capstone smollm2-135m --write
    python -m glm_edu.capstone chatglm2-6b --device cuda --write

Every number is measured in one run of this process: nothing is estimated, and nothing is filled in for a model that
was not run.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from glm_edu.capstone.tour import answered, find_heads, read_answer, token_names
from glm_edu.generate import stream
from glm_edu.lens import Reading
from glm_edu.model.transformer import Transformer
from glm_edu.text.chat import chat
from glm_edu.text.tokenizer import Tokenizer, load_tokenizer

RESULTS = Path(__file__).parent / "results"
QUESTIONS = {"English": "What is the capital of France?", "Chinese": "法国的首都是哪里？"}
BEGINNINGS = {"English": "The capital of France is", "Chinese": "法国的首都是"}
NEW = 64  # tokens that the decoding is timed over
LONGEST = 40  # tokens of a stored answer
Results = dict[str, Any]


def measure(name: str, dtype: str | None = None, device: str = "cpu", quantize: str | None = None) -> Results:
    """Load, chat, read, look: the figures of one model. ``name`` and the rest are as in ``from_pretrained``."""
    start = time.perf_counter()
    model = Transformer.from_pretrained(name, dtype=dtype, device=device, quantize=quantize)
    _wait(device)
    seconds = {"load": time.perf_counter() - start}
    tok = load_tokenizer(name)
    seconds |= _pace(model, tok, device)
    said = {language: chat(model, tok, [{"role": "user", "content": question}], False, LONGEST, temperature=0.0)
            for language, question in QUESTIONS.items()}  # fmt: skip
    peak = _peak(device)  # before the lens, which a chat does not need
    lenses = {language: vars(read_answer(model, tok, text)) for language, text in BEGINNINGS.items()}
    return {
        "model": Path(name).name, "dtype": model.config.dtype, "quantize": quantize, "machine": _machine(device),
        "seconds": {what: round(took, 3) for what, took in seconds.items()}, "peak_bytes": peak, "answers": said,
        "lens": _short(lenses), "heads": _heads(model, tok),
    }  # fmt: skip


def _pace(model: Transformer, tok: Tokenizer, device: str) -> dict[str, float]:
    """Seconds to the first token of a chat, and for each of those after it."""
    ids = torch.tensor([tok.encode_chat([{"role": "user", "content": QUESTIONS["English"]}])], device=device)
    for _ in stream(model, ids, max_new_tokens=2, stop_ids=()):  # pages of the files are read, kernels are chosen
        pass
    start, ends = time.perf_counter(), []
    for token in stream(model, ids, max_new_tokens=NEW + 1, stop_ids=()):
        token.tolist()  # waits for the device
        ends.append(time.perf_counter())
    return {"first_token": ends[0] - start, "token": (ends[-1] - ends[0]) / NEW}


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _peak(device: str) -> int:
    """Bytes that this process held at most: of the GPU, or of the computer."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _machine(device: str) -> dict[str, str | int | float]:
    """What it ran on, and how many programs wanted the processor at that time."""
    gpu = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else ""
    return {"runs_on": gpu or processor(), "device": torch.device(device).type,
            "threads": torch.get_num_threads(), "cores": os.cpu_count() or 0,
            "load_average": round(os.getloadavg()[0], 1), "torch": torch.__version__}  # fmt: skip


def processor() -> str:
    """The processor's name; the kind of machine where the system does not tell."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _short(lenses: dict[str, Any]) -> dict[str, Any]:
    """Probabilities to three digits."""
    for reading in lenses.values():
        reading["cells"] = [[[(token, round(p, 3)) for token, p in cell] for cell in row] for row in reading["cells"]]
    return lenses


def _heads(model: Transformer, tok: Tokenizer) -> dict[str, Any]:
    ids = answered(model, tok, BEGINNINGS["English"])
    found = [
        {"does": head.does, "block": head.block, "head": head.head, "share": round(head.share, 3),
         "thousandths": (head.probs * 1000).round().int().tolist()}
        for head in find_heads(model, ids)
    ]  # fmt: skip
    return {"tokens": token_names(tok, ids[0].tolist()), "found": found}


def store(results: Results, directory: Path = RESULTS) -> Path:
    """Write results where ``stored`` finds them; the file."""
    file = directory / f"{results['model']}.json"
    file.write_text(json.dumps(results, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return file


def stored(model: str, directory: Path = RESULTS) -> Results | None:
    """The stored results of a model; None: nobody has measured it yet."""
    file = directory / f"{model}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def stored_lens(results: Results) -> dict[str, Reading]:
    """The lens of stored results, by language."""
    return {language: Reading(of["rows"], of["columns"], [[[(token, p) for token, p in cell] for cell in row]
                                                          for row in of["cells"]])
            for language, of in results["lens"].items()}  # fmt: skip
