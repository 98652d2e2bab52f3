"""plan: every byte it counts is one that a run takes, what does not fit is refused unread, and what it offers fits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import small_model

from benchmarks.memory import SIZES, TOLERANCE, Case, in_a_process, in_files, predict, random_checkpoint
from glm_edu import KVCache, ModelConfig, Transformer
from glm_edu.checkpoints import MemoryWarning, from_pretrained, plan, room
from glm_edu.checkpoints import changes as offers
from glm_edu.checkpoints import load as loading
from glm_edu.checkpoints.changes import Change
from glm_edu.checkpoints.free import container_rooms, free_memory
from glm_edu.checkpoints.needs import Setting, _calling, _generating, every_logit, needs
from glm_edu.errors import GLMError, InputError, NotEnoughMemoryError
from glm_edu.model.rotary import DTYPES

Saved = Callable[..., Path]
CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("unchecked")  # each look at a shape would be an operation of the dry run
planning = sys.modules["glm_edu.checkpoints.plan"]  # the module; its name in the package is the function's


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many bytes are free."""

    def say(count: int) -> None:
        for module in (planning, room):
            monkeypatch.setattr(module, "free_memory", lambda device: count)

    return say


# what is counted


@pytest.mark.parametrize(
    "kind, form",
    [("chatglm", {}), ("chatglm2-prefix", {}), ("llama-tied", {"dtype": "float16"}), ("glm", {"quantize": "int8"})],
)
def test_weights_and_what_stays_in_the_files(saved: Saved, kind: str, form: dict[str, str]) -> None:
    """Caught: a scale or prefix left out, a head counted twice, rows that are put in order taken for mapped ones."""
    directory = saved(kind)
    model, said = Transformer.from_pretrained(directory, **form), plan(directory, context=4, **form)
    assert said.weights == said.loading == sum(tensor.nbytes for tensor in model.state_dict().values())
    assert said.mapped == in_files(model, str(directory))
    assert (said.mapped > 0) == ("dtype" not in form)


def test_a_preset_needs_no_file(free: Callable[[int], None]) -> None:
    free(2**60)
    config = ModelConfig.preset("chatglm2-6b")
    half, full = plan("chatglm2-6b", context=16), plan("chatglm2-6b", dtype="float32", context=16)
    assert half.weights == half.mapped == 2 * config.parameter_count
    assert full.weights == 4 * config.parameter_count and full.mapped == 0


@pytest.mark.parametrize("context", [252, 253])
def test_the_cache_is_what_a_prompt_leaves(context: int) -> None:
    """In blocks of 256, with the prefix of 4 in front. Caught: tokens counted without blocks or without the prefix."""
    model, cache = small_model("chatglm2-prefix", prefix_length=4, max_positions=300), KVCache()
    with torch.no_grad():
        model(torch.ones(2, context, dtype=torch.long), cache=cache)
    said = needs(Setting(model.config, CPU, context=context, batch=2))
    assert said.cache == sum(tensor.nbytes for tensor in (*cache.keys, *cache.values))


@pytest.mark.parametrize("kind", ["chatglm", "chatglm2-prefix"])
def test_layers_that_are_not_run_are_counted_like_those_that_are(kind: str) -> None:
    """Caught: the cache of one layer taken for that of all, or activations counted for each layer."""
    config = replace(small_model(kind).config, num_layers=6, max_positions=2048)
    setting = Setting(config, CPU, context=700, batch=2)
    said = needs(setting)
    assert (said.cache, said.cache + said.activations) == _generating(config, setting)
    assert (every_logit(setting),) == _calling(config, setting)


def test_a_dry_run_asks_for_no_memory(free: Callable[[int], None]) -> None:
    """A prompt that would take hundreds of gigabytes is counted. Caught: one large tensor made on the CPU."""
    free(2**60)
    said = plan("chatglm2-6b", context=32768, batch=64)
    assert said.activations > 100e9 and said.every_logit > 64 * 32768 * 65024 * 2


def test_the_peak_that_is_predicted_is_measured(tmp_path: Path) -> None:
    """``python -m benchmarks.memory`` measures three sizes. Caught: an activation kept alive, a mask left out."""
    random_checkpoint(SIZES["15M"], str(tmp_path))
    case = Case("15M", "generate", 2048)
    seen = in_a_process(case, str(tmp_path), MALLOC_MMAP_THRESHOLD_=str(2**16))
    assert predict(case, str(tmp_path)) == pytest.approx(seen, rel=TOLERANCE)


# what is refused


def test_copies_without_room_are_refused_before_they_are_made(
    saved: Saved, free: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caught: no check, a check after the reading, or one that counts pages of files as memory to be had."""
    directory = saved("llama")
    half = plan(directory, dtype="float16", context=4)
    free(half.weights - 1)
    monkeypatch.setattr(loading, "fill", lambda *_: pytest.fail("read"))
    with pytest.raises(NotEnoughMemoryError, match=r"float16 need .* are free on cpu.*quantize='int8' \(") as caught:
        Transformer.from_pretrained(directory, dtype="float16")
    assert str(directory) in str(caught.value) and "check_memory=False" in str(caught.value)
    assert isinstance(caught.value, MemoryError) and isinstance(caught.value, GLMError)


def test_pages_of_files_are_not_refused_but_warned_about(saved: Saved, free: Callable[[int], None]) -> None:
    free(1000)
    with pytest.warns(MemoryWarning, match="every pass reads them from the disk"):
        Transformer.from_pretrained(saved("llama"))


def test_who_knows_better_may_load(saved: Saved, free: Callable[[int], None]) -> None:
    free(0)
    assert from_pretrained(saved("llama"), dtype="float16", check_memory=False).config.dtype == "float16"


def test_a_plan_that_does_not_fit_says_so(saved: Saved, free: Callable[[int], None]) -> None:
    free(1000)
    said = plan(saved("llama"), context=3)
    assert not said.fits and not said.changes and "It does not fit. Nothing smaller" in str(said)
    with pytest.raises(NotEnoughMemoryError, match=r"float32 with a prompt of 1 x 3 tokens needs .* KB; 1 KB are free"):
        said.check()
    free(2**50)
    said = plan(saved("llama"), context=3)
    assert said.fits and "It fits." in str(said) and said.check() is None


# what would fit


def _single(changes: tuple[Change, ...]) -> dict[str, int | str]:
    return {name: value for change in changes for name, value in change.arguments.items()}


def test_what_is_offered_fits_and_one_more_does_not(saved: Saved, free: Callable[[int], None]) -> None:
    directory, asked = saved("llama"), {"context": 12, "batch": 2}
    limit = plan(directory, context=8, batch=2).peak
    free(limit)
    said = _single(plan(directory, **asked).changes)
    assert {"context", "batch"} <= said.keys()
    for name in asked:
        peaks = [plan(directory, **asked | {name: said[name] + more}).peak for more in (0, 1)]
        assert peaks[0] <= limit < peaks[1]


@pytest.mark.parametrize(
    "changes, room, offered",
    [({"dtype": "float32"}, 150, [{"dtype": "bfloat16"}, {"quantize": "int8"}, {"quantize": "int4"}]),
     ({"dtype": "float32"}, 70, [{"quantize": "int4"}]), ({}, 95, [{"quantize": "int8"}, {"quantize": "int4"}]),
     ({}, 40, [{"quantize": "int4", "batch": 3}]), ({}, 31, [{"quantize": "int4", "batch": 1, "context": 10}]),
     ({"quantization_bits": 8}, 70, [{"context": 4}, {"batch": 3}]), ({"quantization_bits": 8}, 10, []), ({}, 5, []),
     ({}, 130, [{"context": 6}, {"batch": 4}, {"quantize": "int8"}, {"quantize": "int4"}])],
    ids=str,
)  # fmt: skip
def test_which_changes_are_offered(
    changes: dict[str, Any], room: int, offered: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a made-up model: 7 a bit of its weights, and a third for each token of the 9 x 12 that are asked for."""

    def made_up(setting: Setting) -> SimpleNamespace:
        bits = setting.config.quantization_bits or torch.finfo(DTYPES[setting.config.dtype]).bits
        return SimpleNamespace(peak=7 * bits + setting.batch * setting.context // 3)

    monkeypatch.setattr(offers, "needs", made_up)
    config = replace(small_model("llama").config, **{"dtype": "float16"} | changes)
    found = offers.smallest_changes(Setting(config, CPU, context=12, batch=9), room)
    assert [change.arguments for change in found] == offered and all(change.peak <= room for change in found)


# what is asked for


@pytest.mark.parametrize(
    "wrong, says",
    [({"context": 0}, "context=0 should be a whole number from 1 to 2048"), ({"context": 4096}, "to 2048"),
     ({"batch": 0}, "batch=0"), ({"batch": True}, "batch=True"), ({"quantize": "int2"}, "quantize='int2' is not known"),
     ({"dtype": "float64"}, "float64"), ({"device": "cuda:9"}, "cuda:9")],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_planned(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plan("llama-7b", **wrong)


def test_quantized_files_are_planned_as_they_are(saved: Saved, tmp_path: Path) -> None:
    Transformer.from_pretrained(saved("chatglm2"), quantize="int4").save_pretrained(tmp_path)
    said = plan(tmp_path, context=4)
    assert said.quantize == "int4" and said.mapped == said.weights
    with pytest.raises(InputError, match="int4 in the files already"):
        plan(tmp_path, quantize="int8")


# what is free


def test_a_container_may_have_less_than_the_computer(tmp_path: Path) -> None:
    """Limits of all groups around the process; pages of files that can be dropped count as free."""
    mine = tmp_path / "mine"
    mine.write_text("4:memory:/a/b\n0::/x\n7:cpu:/a\n")

    def group(path: str, files: dict[str, str]) -> None:
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (tmp_path / path / name).write_text(content + "\n")

    first = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    group("memory/a/b", dict(zip(first, ("1000", "300", "total_inactive_file 50\ncache 7"), strict=True)))
    group("memory/a", dict(zip(first, ("500", "600", "total_inactive_file 10"), strict=True)))
    group("x", {"memory.max": "max", "memory.current": "5", "memory.stat": "inactive_file 1"})
    assert sorted(container_rooms(tmp_path, mine)) == [0, 750]
    group("x", {"memory.max": "100"})
    assert 96 in container_rooms(tmp_path, mine)
    assert not list(container_rooms(tmp_path, tmp_path / "absent"))
    assert 0 < free_memory() < 2**50


def test_a_plan_is_a_table(saved: Saved) -> None:
    text = str(plan(saved("chatglm"), context=4))
    assert all(word in text for word in ("weights, float32", "cache of 1 x 4 tokens", "activations", "free on cpu"))
