"""The switchboard's numbers are those of the assembled configs, and a map must fit its tokens."""

import pytest
import torch
from gallery import Markup, switches

from glm_edu import ModelConfig
from glm_edu.cost import cache_bytes
from glm_edu.errors import GLMError
from glm_edu.figures import TrainedMap, switchboard
from glm_edu.figures.switchboard import COUNTED, ROWS
from glm_edu.switchboard import assemble

MODELS = {name: ModelConfig.preset(f"tiny-{tiny}") for name, tiny in (("v1", "chatglm"), ("v2", "chatglm2"))}
SQUARE = torch.eye(2)


def test_the_sums_of_a_setting_are_those_of_its_config():
    sums = switchboard(MODELS, {}).data["sums"]
    assert len(sums) == len(MODELS) ** len(COUNTED)
    for setting in ("v1 v2 v1 v2", "v2 v1 v2 v1"):
        for others in MODELS:  # the other switches have no say
            choices = dict.fromkeys(ROWS, others) | dict(zip(COUNTED, setting.split(), strict=True))
            config = assemble(MODELS, choices)
            assert sums[setting] == [config.parameter_count, cache_bytes(config, 1)]


def test_without_a_script_it_stands_on_the_first_model():
    page = Markup(switches().picture)
    assert [cell["class"] for cell in page.all("td") if "now" in cell.get("class", "")] == ["glm-v1 now"] * len(ROWS)
    assert [part["data-map"] for part in page.all("div") if "data-map" in part and "hidden" not in part] == ["v1"]


@pytest.mark.parametrize(
    "models, maps, says",
    [
        ({}, {}, "at least one model"),
        ({"v9": MODELS["v1"]}, {}, r"\['v9'\] are not families"),
        (MODELS, {"v1": TrainedMap(torch.eye(2, 3), ["a", "b"], "")}, "tokens has 2 entries, .* key axis has 3"),
        (MODELS, {"v1": TrainedMap(SQUARE, ["a"], "")}, "tokens has 1 entries, .* query axis has 2"),
        (MODELS, {"v1": TrainedMap(SQUARE * float("nan"), ["a", "b"], "")}, "NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_refused(models, maps, says):
    with pytest.raises(GLMError, match=says):
        switchboard(models, maps)
