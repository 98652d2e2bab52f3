"""Wholes: a block alone, a training step with its gradients, whole models in 16 bits, each beside the official one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import patch

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu import loss
from glm_edu.checkpoints.fuse import fuse
from glm_edu.checkpoints.layout import official_tensors
from glm_edu.config import ModelConfig
from glm_edu.model import rotary, transformer
from glm_edu.model.transformer import Transformer
from glm_edu.parity.component import EXACT, Component
from glm_edu.parity.ladder import Rung, our_name
from glm_edu.parity.pieces import table_rows
from glm_edu.record import record

BLOCK = {
    "input_ln": "input_norm", "key": "attention.key", "value": "attention.value", "probs": "attention.probs",
    "attention": "attention.output", "residual1": "middle", "post_ln": "post_attention_norm",
    "mlp": "feedforward.output", "output": "output",
}  # fmt: skip


def block_rungs(c: Component) -> Iterator[Rung]:
    tiny = ModelConfig.preset("tiny-chatglm")
    for name, index, config in (("l2", 2, tiny), ("l1_1d", 1, replace(tiny, rotary_channels=1))):
        model = _with_block(c, name, index, config)
        angles = rotary.angle_table(config, c[f"{name}.position_ids"], torch.float32)
        with record(model, f"blocks.{index}.*") as seen:
            model.blocks[index](c[f"{name}.hidden"], angles, c[f"{name}.mask"])
        for theirs, ours in BLOCK.items():
            yield c.rung(f"{name}.{theirs}", seen[f"blocks.{index}.{ours}"], c.tolerance())


def _with_block(c: Component, name: str, index: int, config: ModelConfig) -> Transformer:
    """A network of which block ``index`` has the stored parameters; the rest takes no memory and is not run."""
    with torch.device("meta"):
        model = Transformer(config).eval()
    shapes = {k: t.shape for k, t in model.state_dict().items() if k.startswith(f"blocks.{index}.")}
    ours: dict[str, Tensor] = {}
    for official in official_tensors(config, shapes):
        stored = c[f"{name}.param.{official.name.removeprefix(f'transformer.layers.{index}.')}"]
        ours |= {part.ours: part.rows(stored).flatten(0, 1) for part in official.parts}
    model.load_state_dict(ours, strict=False, assign=True)
    return model


def loss_rungs(c: Component) -> Iterator[Rung]:
    """A training step as the official P-tuning script lays it out: logits, loss, gradients (some by length alone)."""
    model = Transformer.from_pretrained(c.weights)
    with torch.enable_grad(), record(model, "position_ids") as seen:
        logits = model(c["in.input_ids"])
        value = loss.next_token_loss(logits, c["in.labels"])
        gradients = torch.autograd.grad(value, list(model.parameters()))
    yield c.rung("in.position_ids", seen["position_ids"], EXACT)
    yield c.rung("out.logits", logits, c.tolerance("logits"))
    yield c.rung("out.loss", value[None], c.tolerance("loss"))
    ours = dict(zip(dict(model.named_parameters()), gradients, strict=True))
    for official in official_tensors(model.config, {name: tensor.shape for name, tensor in ours.items()}):
        gradient, length = fuse(official, ours), c.facts["grad_norms"][official.name]
        yield c.rung(f"norm.grad.{official.name}", gradient.norm(), c.tolerance("grad"), torch.tensor(length))
        if f"out.grad.{official.name}" in c.tensors:
            yield c.rung(f"out.grad.{official.name}", gradient, c.tolerance("grad"))


def half_chatglm_rungs(c: Component) -> Iterator[Rung]:
    model = Transformer.from_pretrained(c.weights, dtype="float16")
    for part, table in zip(("cos", "sin"), table_rows(model.config, torch.arange(10), torch.float16), strict=True):
        yield c.rung(f"out.rotary.{part}", table, EXACT)
    with record(model) as seen:
        model(c["in.input_ids"])
    official = {our_name(key.removeprefix("out.")): key for key in c.tensors if not key.startswith("out.rotary.")}
    for name in (name for name in seen if name in official):
        yield c.rung(official[name], seen[name], c.tolerance())


def half_chatglm2_rungs(c: Component) -> Iterator[Rung]:
    """One model, its rotary table as ChatGLM2-6B makes it and as ChatGLM3-6B does, in float32 and in 16 bits."""
    directory = c.weights
    yield c.rung("out.float32.logits", _kept_logits(c, Transformer.from_pretrained(directory)), c.tolerance("rope16"))
    for version in ("v2", "v3"):
        for dtype in (torch.float16, torch.bfloat16):
            name = f"{version}.{str(dtype).removeprefix('torch.')}.logits"
            with patch.object(transformer, "angle_table", _table_in(dtype)):
                sharp = _kept_logits(c, _as_version(version, Transformer.from_pretrained(directory)))
            yield c.rung(f"out.rope16.{name}", sharp, c.tolerance("rope16"))
            whole = _kept_logits(c, _as_version(version, Transformer.from_pretrained(directory, dtype=dtype)))
            yield c.rung(f"out.model.{name}", whole, c.tolerance("model", name.split(".")[1]))


def _as_version(version: str, model: Transformer) -> Transformer:
    published = ModelConfig.preset(f"chatglm{version[1]}-6b")
    dtypes = {field: getattr(published, field) for field in ("rotary_frequencies", "rotary_angles")}
    model.config = replace(model.config, **dtypes)
    return model


def _table_in(half: torch.dtype) -> Callable[[ModelConfig, Tensor, torch.dtype], rotary.Angles]:
    """The angle table of a model in ``half``, for a model in another dtype."""

    def table(config: ModelConfig, position_ids: Tensor, dtype: torch.dtype) -> rotary.Angles:
        cos, sin = rotary.angle_table(config, position_ids, half)
        return cos.to(dtype), sin.to(dtype)

    return table


def _kept_logits(c: Component, model: Transformer) -> Float[Tensor, "b kept v"]:
    return model(c["in.input_ids"])[:, c["in.kept_positions"]]
