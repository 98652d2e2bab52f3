"""Pieces: activations, norms, rotary tables, masks and attention, each beside the official one.

A whole model hides what a piece shows: a half-precision table, an eps, the value of a hidden score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.model import activations, attention, norms, rotary
from glm_edu.model.cache import KVCache
from glm_edu.model.transformer import Transformer
from glm_edu.parity.case import Case
from glm_edu.parity.component import EXACT, Component
from glm_edu.parity.ladder import Rung
from glm_edu.record import record

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def gelu_rungs(c: Component) -> Iterator[Rung]:
    gelu = activations.ACTIVATIONS["gelu_tanh"]
    yield c.rung("gelu", gelu(c["x"]), c.tolerance("float32"))
    yield c.rung("gelu_half", gelu(c["x_half"]), c.tolerance("float16"))
    yield c.rung("erf_gelu_for_contrast", activations.gelu_exact(c["x"]), c.tolerance("float32"))


def swiglu_rungs(c: Component) -> Iterator[Rung]:
    yield c.rung("swiglu.out", activations.swiglu(*c["swiglu.x"].chunk(2, dim=-1)), c.tolerance("fp32"))


def rms_norm_rungs(c: Component) -> Iterator[Rung]:
    for short in DTYPES:
        x, weight = c[f"rmsnorm.{short}.x"], c[f"rmsnorm.{short}.weight"]
        normed = norms.RMS_NORMS["rmsnorm"](x, weight, ModelConfig.preset("chatglm2-6b").norm_eps)
        yield c.rung(f"rmsnorm.{short}.out", normed, c.tolerance("fp32") if short == "fp32" else EXACT)


def frequencies_rungs(c: Component) -> Iterator[Rung]:
    yield c.rung("rotate_half.y", rotary.ROTATE["half"](c["rotate_half.x"]), EXACT)
    six_b = ModelConfig.preset("chatglm-6b")
    for config in (ModelConfig.preset("tiny-chatglm"), six_b, replace(six_b, rotary_channels=1)):
        size = config.rotary_dim  # 8, 64, 128
        exact = rotary.inverse_frequencies(size, config.rotary_base)
        yield c.rung(f"inv_freq_exact_f32.{size}", exact, c.tolerance("float"))
        yield c.rung(f"inv_freq_half.{size}", rotary.frequencies(config, torch.float32), c.tolerance("half"))


def angles_rungs(c: Component) -> Iterator[Rung]:
    """Rows of ChatGLM-6B's tables up to position 2047: the half model, the float model, and exact ones for contrast."""
    config, positions = ModelConfig.preset("chatglm-6b"), c["positions_kept"]
    turns = rotary.frequencies(config, torch.float16)
    yield c.rung("half.angle", positions[:, None].half() * turns, c.tolerance("half"))
    exact = replace(config, rotary_frequencies="float32")
    for name, wanted, dtype in (("half", config, "fp16"), ("float", config, "fp32"), ("exact", exact, "fp32")):
        for part, table in zip(("cos", "sin"), table_rows(wanted, positions, DTYPES[dtype]), strict=True):
            yield c.rung(f"{name}.{part}", table, c.tolerance("half" if name == "half" else "float"))


def table_rows(config: ModelConfig, positions: Int[Tensor, " p"], dtype: torch.dtype) -> list[Float[Tensor, "p 1 r"]]:
    """cos and sin of these positions as the official table of ChatGLM-6B holds them."""
    return [table[0, 0].transpose(0, 1) for table in rotary.angle_table(config, positions[None, None], dtype)]


def apply_halves_rungs(c: Component) -> Iterator[Rung]:
    config, positions = ModelConfig.preset("tiny-chatglm"), c["apply.position_id"].T[:, None]  # b 1 s
    for part, table in zip(("cos", "sin"), table_rows(config, torch.arange(20), torch.float32), strict=True):
        yield c.rung(f"apply.{part}", table, c.tolerance("float"))
    angles = rotary.angle_table(config, positions, torch.float32)
    for name in ("q", "k"):
        turned = rotary.apply_rotary(rearrange(c[f"apply.{name}"], "s b n d -> b n s d"), angles, "half")
        yield c.rung(f"apply.{name}_out", rearrange(turned, "b n s d -> s b n d"), c.tolerance("float"))


def tables_rungs(c: Component) -> Iterator[Rung]:
    """ChatGLM2-6B computes frequencies and positions in the model's dtype, ChatGLM3-6B in float32."""
    for version in ("2", "3"):
        config = ModelConfig.preset(f"chatglm{version}-6b")
        for short, dtype in DTYPES.items():
            table = _table(config, c["rotary.positions"], dtype)
            yield c.rung(f"rotary.v{version}.{short}", table, c.tolerance("fp32") if short == "fp32" else EXACT)
    for ratio in (1, 50, 500):
        config = replace(ModelConfig.preset("chatglm3-6b"), rope_ratio=ratio)
        table = _table(config, c["rotary.positions"], torch.float32)
        yield c.rung(f"rotary.rope_ratio{ratio}.fp32", table, c.tolerance("fp32"))


def _table(config: ModelConfig, positions: Int[Tensor, " p"], dtype: torch.dtype) -> Float[Tensor, "p pairs 2"]:
    """(cos, sin) of each pair as the official cache of ChatGLM2-6B holds them."""
    cos, sin = rotary.angle_table(config, positions[None], dtype)  # 1 1 1 p r
    return torch.stack([cos[0, 0, 0, :, ::2], sin[0, 0, 0, :, ::2]], dim=-1)


def apply_pairs_rungs(c: Component) -> Iterator[Rung]:
    angles = rotary.angle_table(ModelConfig.preset("tiny-chatglm2"), c["apply.position_ids_bs"], torch.float32)
    cache = torch.stack(angles, dim=-1)[0, :, 0, :, ::2]  # b s pairs 2
    yield c.rung("apply.cache_sb", cache.transpose(0, 1), c.tolerance("fp32"))
    turned = rotary.apply_rotary(rearrange(c["apply.x_sbnh"], "s b n d -> b n s d"), angles, "pairs")
    yield c.rung("apply.out_sbnh", rearrange(turned, "b n s d -> s b n d"), c.tolerance("fp32"))
    yield c.rung("apply.out_v4_bnsh", turned, c.tolerance("fp32"))


def masks_rungs(c: Component) -> Iterator[Rung]:
    model, padding = Transformer.from_pretrained(Case("chatglm2_prefill").directory), c["mask.padding_with_past3"]
    yield c.rung("mask.nopast", _visible(model, c["mask.padding"], 0), EXACT)
    yield c.rung("mask.right", _visible(model, c["mask.right_padding"], 0), EXACT)
    yield c.rung("mask.past3", _visible(model, padding, 3), EXACT)
    yield c.rung("mask.past3_nopad", _visible(model, torch.ones_like(padding), 3), EXACT)


def _visible(model: Transformer, keep: Int[Tensor, "b k"], past: int) -> Bool[Tensor, "b 1 q k"]:
    """The mask that the network makes for the tokens after the first ``past`` ones, which are cached."""
    ids, cache = torch.zeros_like(keep), KVCache()
    if past:
        model(ids[:, :past], attention_mask=keep[:, :past], cache=cache)
    with record(model, "mask") as seen:
        model(ids[:, past:], attention_mask=keep, cache=cache)
    return seen["mask"]


def attention_rungs(c: Component) -> Iterator[Rung]:
    """Layers 0, 1 and 27 with a mask, then one query on a cache of two; layer 27 in float16 with large inputs."""
    for layer in (0, 1, 27):
        name = f"l{layer}"
        query, key, value = (c[f"{name}.{part}"] for part in "qkv")
        yield from _attend(c, f"{name}.", layer, query, key, value, c[f"{name}.mask"])
        cache = KVCache()
        cache.append(0, c[f"{name}.past_k"], c[f"{name}.past_v"])
        cache.advance(2)
        keys, values = cache.append(0, key[:, :, :1], value[:, :, :1])
        yield c.rung(f"{name}.step_present_k", keys, EXACT)
        yield from _attend(c, f"{name}.step_", layer, query[:, :, :1], keys, values, None)
    query, key, value = (c[f"half27.{part}"] for part in "qkv")
    yield from _attend(c, "half27.", 27, query, key, value, None)


def _attend(
    c: Component, stem: str, layer: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> Iterator[Rung]:
    """Probabilities and context, and before them the hidden scores: -10000 times the layer factor c = layer + 1."""
    seen: dict[str, Tensor] = {}
    mixed = attention.eager_attention(
        query, key, value, mask, ModelConfig.preset("chatglm-6b").mask_value, layer + 1,
        on_scores=lambda x: seen.setdefault("scores", x), on_probs=lambda x: seen.setdefault("probs", x),
    )  # fmt: skip
    if mask is not None:
        hidden = seen["scores"].masked_select(~mask)
        yield c.rung(f"{stem}hidden_scores", hidden, EXACT, torch.full_like(hidden, -10000.0 * (layer + 1)))
    tolerance = c.tolerance(str(query.dtype).removeprefix("torch."))
    yield c.rung(f"{stem}probs", seen["probs"], tolerance)
    yield c.rung(f"{stem}context", rearrange(mixed, "b n s d -> b s (n d)"), tolerance)
