"""One process plays any rank: PyTorch's fake process group sends nothing, and everything before the sending is real."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import _clear_sharding_prop_cache
from torch.testing._internal.distributed.fake_pg import FakeStore

from glm_edu import Transformer
from glm_edu.checkpoints import CheckpointWarning
from glm_edu.errors import InputError
from glm_edu.parallel import joined, load_parallel, report, split_plan
from glm_edu.parallel.__main__ import main

GOLDEN = Path(__file__).parents[1] / "golden"
NAN = float("nan")


@pytest.fixture
def play() -> Iterator[Callable[[int, int], None]]:
    """``play(rank, ranks)`` makes this process one of several."""

    def begin(rank: int, ranks: int) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()
        _clear_sharding_prop_cache()  # it remembers meshes of another rank
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)

    yield begin
    if dist.is_initialized():
        dist.destroy_process_group()


def pieces(model: Transformer) -> dict[str, torch.Tensor]:
    return {name: p.to_local() if isinstance(p, DTensor) else p for name, p in model.named_parameters()}


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """ChatGLM-6B's layout with NaN in everything of rank 0 of 2 that rank 1 does not need."""
    whole = load_file(GOLDEN / "chatglm1_gmask" / "model.safetensors")
    for name, tensor in whole.items():
        if "layernorm" in name or "inv_freq" in name or name.endswith(("dense.bias", "dense_4h_to_h.bias")):
            continue  # each rank needs these
        if name.endswith(("dense.weight", "dense_4h_to_h.weight")):
            tensor[:, : tensor.shape[1] // 2] = NAN  # rows of W: its inputs
        else:
            tensor[: len(tensor) // 2] = NAN  # heads 0 and 1 with their query, key and value; ids 0 to 255; ...
    save_file(whole, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((GOLDEN / "chatglm1_gmask" / "config.json").read_text())
    return tmp_path


def test_a_rank_reads_its_own_part_and_nothing_else(play: Callable[[int, int], None], spoilt: Path) -> None:
    play(1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)  # which names every tensor that has NaN in what was read
        of_spoilt = pieces(load_parallel(spoilt))
    of_sound = pieces(load_parallel(GOLDEN / "chatglm1_gmask"))
    assert all(torch.equal(of_spoilt[name], piece) for name, piece in of_sound.items())
    play(0, 2)
    with pytest.warns(CheckpointWarning, match="word_embeddings.*query_key_value.*dense.*dense_h_to_4h.*lm_head"):
        load_parallel(spoilt)


@pytest.mark.parametrize("name", ["chatglm1_gmask", "chatglm2_prefill"])
def test_pieces_put_together_are_the_whole(play: Callable[[int, int], None], name: str) -> None:
    """Four ranks, two kv groups in the second case: rank 0 and 1 hold the first."""
    parts = []
    for rank in range(4):
        play(rank, 4)
        parts.append(pieces(load_parallel(GOLDEN / name, dtype="bfloat16")))
    whole = Transformer.from_pretrained(GOLDEN / name, dtype="bfloat16")
    plan = split_plan(whole.config, 4)
    for parameter, tensor in whole.named_parameters():
        held = [part[parameter] for part in parts][:: 4 // plan.row(parameter).pieces]
        axis = next((i for i, size in enumerate(tensor.shape) if held[0].shape[i] != size), 0)
        assert torch.equal(torch.cat(held, axis) if held[0].shape != tensor.shape else held[0], tensor), parameter


def test_a_report_counts_what_is_held_and_sent(play: Callable[[int, int], None]) -> None:
    """The counts of the ranks' own tests, in this process: the prefix, its groups, the prompt's cache."""
    play(3, 4)
    given = report(GOLDEN / "chatglm2_ptuning", torch.tensor([[10, 20, 30]]), max_new_tokens=1)
    assert given["cache"] == 2 * 3 * (8 + 3) * 16 * 4  # key and value, layers, prefix and prompt, one group, float32
    assert given["calls"] == {"all-reduce": 2 * 3 + 1, "all-gather": 1}
    assert given["sent"] == {"all-reduce": 7 * 64 * 4, "all-gather": 512 * 4}


def test_without_partners() -> None:
    with pytest.raises(InputError, match="No processes have joined"):
        load_parallel(GOLDEN / "llama_gqa")


def test_joining_outside_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(InputError, match="torchrun --standalone"), joined():
        pass


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    assert main(["no-such-directory", "question"]) == 1
    assert "error: There is no directory no-such-directory" in capsys.readouterr().err
    dist.destroy_process_group()
