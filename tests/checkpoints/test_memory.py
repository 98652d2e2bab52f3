"""Loading makes no second copy of the weights: memory of its own is watched while shards of 200 MB are read."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glm_edu import ModelConfig, Transformer

MB = 1_000_000
# Runs in a process of its own. RssAnon is memory that belongs to the process alone. Pages of a mapped file are not in
# it: the system can drop them at any time and read them again.
WATCH = """
import sys, threading
import torch
from glm_edu import Transformer

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

torch.set_num_threads(1)
quantize = dict(enumerate(sys.argv)).get(4)
Transformer.from_pretrained(sys.argv[2], quantize=quantize)  # brings imports and buffers along
start, peak, done = anonymous(), 0, threading.Event()

def watch():
    global peak
    while not done.wait(0.001):
        peak = max(peak, anonymous())

thread = threading.Thread(target=watch)
thread.start()
model = Transformer.from_pretrained(sys.argv[1], dtype=sys.argv[3], quantize=quantize)
done.set()
thread.join()
print(max(peak, anonymous()) - start, sum(tensor.nbytes for tensor in model.state_dict().values()))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sharded checkpoints of about 200 MB in float32, by layout, and a small one."""
    made = {}
    small = ModelConfig.preset("tiny-llama")
    configs = {"small": small, "llama": _wide(small, 2816), "chatglm": _wide(ModelConfig.preset("tiny-chatglm"), 4096)}
    for name, config in configs.items():
        with torch.device("meta"):
            model = Transformer(config)
        model = model.to_empty(device="cpu")
        for parameter in model.parameters():
            torch.nn.init.ones_(parameter)
        made[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(made[name], max_shard_size="40MB")
    return made


def _wide(config: ModelConfig, feedforward_size: int) -> ModelConfig:
    return replace(config, hidden_size=1024, num_heads=8, num_kv_groups=8, head_dim=128, num_layers=4, vocab_size=1000,
                   feedforward_size=feedforward_size)  # fmt: skip


@pytest.mark.parametrize(
    "layout, dtype, share",
    [("llama", "float32", 0.05), ("llama", "float16", 1.05),
     ("chatglm", "float32", 0.30), ("chatglm", "float16", 1.05)],
    ids=["mapped", "cast", "mapped but for query, key and value", "interleaved and cast"],
)  # fmt: skip
def test_peak_memory_of_a_load(large: dict[str, Path], layout: str, dtype: str, share: float) -> None:
    own, weights = _watched(large, layout, dtype)
    assert weights > 90 * MB
    assert own <= share * weights, f"{own / MB:.0f} MB of its own for {weights / MB:.0f} MB of weights"


def test_weights_that_are_quantized_while_they_are_read_are_never_whole_as_floats(large: dict[str, Path]) -> None:
    """Of 200 MB in float32, int4 leaves 26; the largest matrix is 12 MB. Float16 for all of them would be 100 MB."""
    own, weights = _watched(large, "llama", "float32", "int4")
    assert 30 * MB < weights < 40 * MB
    assert own <= weights + 12 * MB, f"{own / MB:.0f} MB of its own for {weights / MB:.0f} MB of weights"


def _watched(large: dict[str, Path], layout: str, *how: str) -> tuple[int, int]:
    """Most memory of its own while loading, and the weights, in bytes; ``how``: dtype, quantize."""
    assert len(list(large[layout].glob("*-of-*"))) >= 5
    command = [sys.executable, "-c", WATCH, str(large[layout]), str(large["small"]), *how]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    own, weights = map(int, run.stdout.split())
    return own, weights
