"""The switchboard with a kernel: each switch changes the network that is run."""

from dataclasses import replace

import torch

from glm_edu import ModelConfig, Transformer, record
from glm_edu.switchboard import SWITCHES, fields_of
from glm_edu.widgets import explore_switchboard


def first_map(config: ModelConfig) -> list:
    torch.manual_seed(0)
    model = Transformer(config).eval()
    ids = [*torch.randint(6, 400, (8,)).tolist(), config.gmask_id, config.bos_id]
    with torch.no_grad(), record(model, ["blocks.0.attention.probs"]) as seen:
        model(torch.tensor([ids]))
    return (seen["blocks.0.attention.probs"][0].double() * 1000).round().int().tolist()


def test_each_switch_reaches_the_network():
    box, config = explore_switchboard(), ModelConfig.preset("tiny-chatglm")
    assert [control.description for control in box.controls.values()] == [*SWITCHES]
    assert box.figure.data["thousandths"] == first_map(config)
    for switch in ("mask", "groups"):
        box.controls[switch].value = "llama"
        config = replace(config, **fields_of(ModelConfig.preset("tiny-llama"), switch))
        assert box.figure.data["thousandths"] == first_map(config), switch
    assert f"{config.parameter_count:,} parameters" in box.picture.value
