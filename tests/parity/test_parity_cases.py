"""Every stored case, in every way the network can be run, equals the official outputs. A failure prints the ladder."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from glm_edu import KVCache, Transformer, generate
from glm_edu.errors import CheckpointNotFoundError
from glm_edu.parity import Case, case_names, prove
from glm_edu.parity.case import GOLDEN
from glm_edu.parity.component import Component
from glm_edu.parity.components import PIECES
from glm_edu.parity.ladder import our_name

proven = cache(prove)  # nothing changes between two tests, so one climb serves both

ELSEWHERE = ("out.generated", "out.prefix.key", "out.prefix.value", "out.noprefix.logits")  # the tests below
WITH_GENERATED = [name for name in case_names() if "out.generated" in Case(name).tensors]
WITH_PREFIX = [name for name in case_names() if "out.prefix.key" in Case(name).tensors]


def test_every_directory_of_the_goldens_is_a_case() -> None:
    directories = {path.name for path in GOLDEN.iterdir() if path.is_dir()} - {"components", "tokenizers"}
    assert set(case_names()) == directories
    assert len(directories) == 26


@pytest.mark.parametrize("alone", [False, True], ids=["positions given", "continuing by itself"])
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "fast"])
@pytest.mark.parametrize("name", case_names())
def test_case_equals_the_official_outputs(name: str, eager: bool, alone: bool) -> None:
    ladder = proven(name, alone, eager)
    assert ladder.ok, f"\n{ladder}"


@pytest.mark.parametrize("name", case_names())
def test_no_official_tensor_is_left_out(name: str) -> None:
    case = Case(name)
    compared = {(rung.run, rung.tensor) for rung in proven(name, False, True).rungs}
    for run in case.runs:
        official = {our_name(key) for key in run.outputs if f"out.{key}" not in ELSEWHERE}
        official |= {"position_ids"} & run.inputs.keys()
        assert official == {tensor for owner, tensor in compared if owner == run.name}
    stems = [f"out.{run.name}.{key}" if run.name else f"out.{key}" for run in case.runs for key in run.outputs]
    assert {key for key in case.tensors if key.startswith("out.")} <= {*stems, *ELSEWHERE}


def test_a_rung_stands_for_each_stored_tensor_of_the_components() -> None:
    inputs = {
        "chatglm1_attention_fn": (".q", ".k", ".v", ".mask", ".past_k", ".past_v"),
        "chatglm1_block": ("l2.param.", "l1_1d.param.", ".hidden", ".mask", ".position_ids"),
        "chatglm1_gelu": ("x", "x_half"),
        "chatglm1_loss": ("in.input_ids", "in.labels"),
        "chatglm1_half": ("in.",),
        "chatglm1_rotary": ("rotate_half.x", "positions_kept", "apply.q", "apply.k", "apply.position_id"),
        "chatglm2_components": ("rotary.positions", "apply.x_sbnh", "apply.position_ids_bs", ".x", ".weight",
                                "mask.padding", "mask.padding_with_past3", "mask.right_padding"),
        "chatglm2_half": ("in.",),
        "chatglm1_quant": ("x", "bias", "weight_f16", "weight_nozero_f16"),
        "chatglm2_quantization": ("x", "bias", "w"),
    }  # fmt: skip
    rungs = {(rung.case, rung.tensor) for rung in proven("components").rungs}
    for name in {name for name, _ in PIECES}:
        shown = {
            key for key in Component(name).tensors
            if (f"components/{name}", key.removeprefix("in.").removeprefix("out.")) in rungs
        }  # fmt: skip
        given = Component(name).tensors.keys() - shown
        left_out = {key for key in given if not key.startswith(inputs[name]) and not key.endswith(inputs[name])}
        assert not left_out, (name, left_out)
    stored = {path.stem for path in (GOLDEN / "components").glob("*.json")}
    assert stored == {name for name, _ in PIECES}


def test_components_equal_the_official_ones() -> None:
    ladder = proven("components")
    assert ladder.ok, f"\n{ladder}"
    assert len(ladder.rungs) >= 170


def test_halves_are_compared_exactly_where_the_case_says_equal() -> None:
    """A loose tolerance on a half-precision table would let ChatGLM3-6B's table pass for ChatGLM2-6B's."""
    exact = {rung.tensor for rung in proven("components").rungs if rung.atol == rung.rtol == 0}
    assert {"half.cos", "half.sin", "rotary.v2.fp16", "rotary.v2.bf16", "rotary.v3.fp16", "rmsnorm.fp16.out"} <= exact
    assert {"mask.nopast", "mask.past3", "l27.hidden_scores", "rotary.cos"} <= exact


@pytest.mark.parametrize("use_cache", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("name", WITH_GENERATED)
def test_generate_makes_the_official_ids(name: str, use_cache: bool) -> None:
    case = Case(name)
    first, official = case.runs[0].inputs, case.tensors["out.generated"]
    model = Transformer.from_pretrained(case.directory)
    ids = generate(
        model, first["input_ids"], official.shape[1], stop_ids=(), use_cache=use_cache,
        attention_mask=first.get("attention_mask"),
    )  # fmt: skip
    assert ids[:, first["input_ids"].shape[1] :].tolist() == official.tolist()


def test_the_generated_cases_hold_padded_batches_of_each_family() -> None:
    keeps = {name: Case(name).runs[0].inputs.get("attention_mask", torch.ones(1)) for name in WITH_GENERATED}
    padded = [name for name, keep in keeps.items() if not bool(keep.all())]
    assert {name.split("_")[0] for name in padded} >= {"chatglm2", "glm4", "llama"}
    assert "chatglm1_decode" in WITH_GENERATED


@pytest.mark.parametrize("name", WITH_PREFIX)
def test_prefix_encoder_makes_the_official_keys_and_values(name: str) -> None:
    case = Case(name)
    model = Transformer.from_pretrained(case.directory)
    assert model.prefix is not None
    official = (case.tensors["out.prefix.key"], case.tensors["out.prefix.value"])  # layers b g p d
    with torch.no_grad():
        pairs = model.prefix(official[0].shape[1], torch.float32)
    for ours, theirs in zip(zip(*pairs, strict=True), official, strict=True):
        torch.testing.assert_close(torch.stack(list(ours)), theirs, atol=2e-6, rtol=1e-5)  # a table and two linears


@pytest.mark.parametrize("name", [name for name in WITH_PREFIX if "out.noprefix.logits" in Case(name).tensors])
def test_without_its_prefix_the_model_is_the_base_model(name: str) -> None:
    case = Case(name)
    model = Transformer.from_pretrained(case.directory)
    model.prefix, model.config = None, replace(model.config, prefix_length=0)
    with torch.no_grad():
        logits = model(case.runs[0].inputs["input_ids"])
    atol, rtol = case.tolerance("logits")
    torch.testing.assert_close(logits, case.tensors["out.noprefix.logits"], atol=atol, rtol=rtol)
    assert (logits - case.tensors["out.step0.logits"]).abs().max() > 0.1  # the prefix matters


def _logits(model: Transformer, ids: Tensor, cache: KVCache | None = None) -> Tensor:
    with torch.no_grad():
        return model(ids, cache=cache)


def test_one_clock_decodes_as_wrongly_as_the_official_code() -> None:
    """position_encoding_2d off: the cached step stands at the mask, the full pass counts on. Both are official."""
    case = Case("chatglm1_2d_off")
    model, cache = Transformer.from_pretrained(case.directory), KVCache()
    prompt, step, full = (next(r for r in case.runs if r.name == name) for name in ("", "step1", "full"))
    _logits(model, prompt.inputs["input_ids"], cache)
    cached = _logits(model, step.inputs["input_ids"], cache)[:, -1]
    uncached = _logits(model, full.inputs["input_ids"])[:, -1]
    assert cache.clocks is not None and cache.clocks.tolist() == step.inputs["position_ids"][:, -1].tolist()
    torch.testing.assert_close(cached, step.outputs["logits"][:, -1], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(uncached, full.outputs["logits"][:, -1], atol=2e-5, rtol=1e-5)
    moved = float((cached - uncached).abs().max())
    assert moved == pytest.approx(case.facts["cached_vs_uncached_max_abs"], rel=1e-3)


def test_the_case_knows_its_source_and_its_runs() -> None:
    case = Case("chatglm1_gmask")
    assert "8b7d335" in case.revision and "chatglm-6b" in case.revision
    assert json.loads((case.directory / "config.json").read_text())["model_type"] == "chatglm"
    assert [run.name for run in Case("chatglm2_ptuning").runs] == ["step0", "step1", "full", "row0"]
    assert Case("chatglm2_ptuning").runs[1].continues == "step0"
    assert Case("chatglm1_2d_off").runs[3].continues == ""
    assert "step1.logits" not in Case("chatglm1_2d_off").runs[0].outputs


def test_an_unknown_case_names_the_known_ones() -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"no case 'chatglm9'.*chatglm1_gmask.*llama_prefill"):
        prove("chatglm9")


def test_without_the_repository_the_proof_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glm_edu.parity.case.GOLDEN", GOLDEN / "nowhere")
    with pytest.raises(CheckpointNotFoundError, match="come with the repository"):
        case_names()
