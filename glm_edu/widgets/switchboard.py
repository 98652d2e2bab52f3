"""Put a tiny model together switch by switch, run it, and see the maps of its heads."""

import torch
from ipywidgets import Dropdown

from glm_edu import ModelConfig, Transformer, record
from glm_edu.figures import Figure, attention_map
from glm_edu.figures.palette import FAMILIES
from glm_edu.switchboard import SIZE, SWITCHES, assemble
from glm_edu.widgets.explorer import Explorer

TINY = {"v1": "tiny-chatglm", "v2": "tiny-chatglm2", "llama": "tiny-llama"}
TEXT = 8  # tokens of the random prompt before [gMASK] and bos


def explore_switchboard(*, seed: int = 0, caption: str = "") -> Explorer:
    """A dropdown for each switch; the mixture, of the size of the tiny ChatGLM and with random weights, is run anew."""
    models = {name: ModelConfig.preset(preset) for name, preset in TINY.items()}
    names = {switch.replace("-", "_"): switch for switch in SWITCHES}

    def draw(**chosen: str) -> Figure:
        config = assemble(models, {SIZE: "v1"} | {names[key]: model for key, model in chosen.items()})
        probs = _run(config, seed)
        tokens = [*(str(i) for i in range(TEXT)), "[gMASK]", "sop"]
        title = f"{config.parameter_count:,} parameters, {config.num_heads} heads, {config.num_kv_groups} groups"
        return attention_map(probs, tokens, title=title, caption=caption)

    options = [(FAMILIES[name].label, name) for name in models]
    return Explorer(draw, **{key: Dropdown(options=options, description=switch) for key, switch in names.items()})


def _run(config: ModelConfig, seed: int) -> torch.Tensor:
    """Attention probabilities of the first block."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = Transformer(config).eval()
        ids = torch.cat([torch.randint(6, 400, (TEXT,)), torch.tensor([config.gmask_id, config.bos_id])])
        with record(model, ["blocks.0.attention.probs"]) as seen:
            model(ids[None])
    return seen["blocks.0.attention.probs"][0]
