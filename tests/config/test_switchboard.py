"""Switches all on one model make that model; switches of the published models make the official outputs."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glm_edu import ModelConfig, Transformer, record
from glm_edu.errors import ConfigError
from glm_edu.parity import Case
from glm_edu.switchboard import SIZE, SWITCHES, assemble, fields_of, shapes

PUBLISHED = {"v1": "chatglm-6b", "v2": "chatglm2-6b", "llama": "llama-7b"}
MODELS = {name: ModelConfig.preset(preset) for name, preset in PUBLISHED.items()}
GOLDEN = {"v1": "chatglm1_gmask", "v2": "chatglm2_prefill", "llama": "llama_gqa"}
ALL = (SIZE, *SWITCHES)
SIZED = ("feed-forward", "groups")  # a golden model's are of its own size


@pytest.mark.parametrize("name", MODELS)
def test_all_switches_on_one_model_make_it(name: str) -> None:
    assert assemble(MODELS, dict.fromkeys(ALL, name)) == MODELS[name]


@pytest.mark.parametrize("name", MODELS)
def test_the_published_switches_make_the_official_outputs(name: str) -> None:
    """Sizes of a golden model, decisions of the published one, weights of the file: the official logits."""
    case = Case(GOLDEN[name])
    golden = Transformer.from_pretrained(case.directory)
    models = {"golden": golden.config, "published": MODELS[name]}
    config = assemble(models, {switch: "golden" if switch in (SIZE, *SIZED) else "published" for switch in ALL})
    model = Transformer(config).eval()
    model.load_state_dict(golden.state_dict())
    run = case.runs[0]
    with torch.no_grad():
        logits = model(run.inputs["input_ids"])
    torch.testing.assert_close(logits, run.outputs["logits"], atol=2e-5, rtol=1e-5)  # the ladder's tolerance


@given(st.fixed_dictionaries({switch: st.sampled_from([*MODELS]) for switch in ALL}))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_each_switch_sets_its_own_fields_and_no_others(choices: dict[str, str]) -> None:
    config = assemble(MODELS, choices)
    for switch, name in choices.items():
        assert fields_of(config, switch) == fields_of(MODELS[name], switch)


def test_every_field_belongs_to_one_switch() -> None:
    named = [field for switch in ALL for field in fields_of(MODELS["v1"], switch)]
    assert sorted(named) == sorted(ModelConfig.__dataclass_fields__)


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_those_of_a_run(name: str) -> None:
    tiny = ModelConfig.preset({"v1": "tiny-chatglm", "v2": "tiny-chatglm2", "llama": "tiny-llama"}[name])
    assert shapes(tiny) == dict(_recorded(tiny))


def _recorded(config: ModelConfig) -> Iterator[tuple[str, str]]:
    model = Transformer(config).eval()
    ids = torch.tensor([[11, 12, config.gmask_id or 13, config.bos_id or 14, 15]])  # b s
    with torch.no_grad(), record(model) as seen:
        model(ids)
    names = {
        "position_ids": "position_ids", "query": "blocks.0.attention.query", "key, value": "blocks.0.attention.key",
        "feedforward.hidden": "blocks.0.feedforward.hidden", "logits": "logits",
    }  # fmt: skip
    for ours, recorded in names.items():
        letters = ["s" if size == ids.shape[1] else str(size) for size in seen[recorded].shape[1:]]
        yield ours, " ".join(["b", *letters])


def test_a_switch_that_is_missing_or_stands_nowhere_is_named() -> None:
    with pytest.raises(ConfigError, match="each of size, norm"):
        assemble(MODELS, dict.fromkeys(SWITCHES, "v1"))
    with pytest.raises(ConfigError, match="mask='v3': the models are v1, v2, llama"):
        assemble(MODELS, dict.fromkeys(ALL, "v1") | {"mask": "v3"})
    with pytest.raises(ConfigError, match="no switch 'nrom'"):
        fields_of(MODELS["v1"], "nrom")
