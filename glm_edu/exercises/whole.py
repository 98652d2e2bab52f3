"""The exercises of chapter 11: explain counts that tools print, count any config, read logits off hidden_states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers, run
from glm_edu.model.transformer import Transformer
from glm_edu.source_map import hidden_states

States = tuple[Float[Tensor, "b s h"], ...]
Count = Callable[[ModelConfig], int]

# ---- 1. predict: three counts that tools print ----

FIRST, SECOND = ModelConfig.preset("chatglm-6b"), ModelConfig.preset("chatglm2-6b")
RANK = 8
H, L, QKV = FIRST.hidden_size, FIRST.num_layers, 3 * FIRST.hidden_size
ROWS = 184  # 130,528 rows, 130,344 pieces
TABLE = SECOND.vocab_size * SECOND.hidden_size

COUNTS = {
    "lora": (L * RANK * (H + QKV), (
        Slip("one of the two matrices", "A reads h numbers. What brings the 8 back to the width of the layer?",
             L * RANK * H),
        Slip("the way in", "B writes the fused rows. Something has to make the 8 numbers of h first.", L * RANK * QKV),
        Slip("a square", "query_key_value is not h by h: three matrices lie in it, one under the other.",
             2 * L * RANK * H),
        Slip("one layer", "Every layer gets a pair of its own.", RANK * (H + QKV)),
        Slip("the layer itself", "That is query_key_value. LoRA adds two thin matrices beside it.", L * H * QKV),
    )),
    "rows": (ROWS, (
        Slip("numbers, not rows", "So many numbers are missing. How many stand in a row?", ROWS * H),
        Slip("two tables", "Is the shared table counted twice?", ROWS // 2),
    )),
    "shared": (SECOND.parameter_count - TABLE, (
        Slip("both tables gone", "One of the two stays.", SECOND.parameter_count - 2 * TABLE),
        Slip("nothing saved", "That is the count with two tables.", SECOND.parameter_count),
        Slip("the table of ChatGLM-6B", "ChatGLM2-6B has another vocabulary.",
             SECOND.parameter_count - FIRST.vocab_size * FIRST.hidden_size),
    )),
}  # fmt: skip


def check_counts(lora: object, rows: object, shared: object) -> Verdict:
    """Exercise 1: numbers of a LoRA, rows that a tool cut off, ChatGLM2-6B's count with one table."""
    told = ", ".join(f"{right:,}" for right, _ in COUNTS.values())
    return judge_numbers(COUNTS, (lora, rows, shared), f"{told}.")


# ---- 2. implement: count the parameters of a config ----


def count_parameters(
    config: ModelConfig, *, bias: bool = True, centre: bool = True, groups: bool = True, gate: bool = True,
    widths: bool = True, norms: int = 2, last: bool = True, tables: int | None = None,
) -> int:  # fmt: skip
    """What ``ModelConfig.parameter_count`` says, part by part; each option leaves something out."""
    h, f = config.hidden_size, config.feedforward_size
    query = config.num_heads * config.head_dim if widths else h
    fused = query + 2 * (config.num_kv_groups if groups else config.num_heads) * config.head_dim
    ways_in = 2 if gate and config.feedforward == "gated" else 1
    norm = h * (2 if centre and config.norm == "layernorm" else 1)
    block = norms * norm + h * fused + query * h + (ways_in + 1) * h * f
    if bias:
        block += config.query_key_value_bias * fused + config.attention_output_bias * h
        block += config.feedforward_bias * (ways_in * f + h)
    tables = tables or (1 if config.tied_head else 2)
    return config.num_layers * block + tables * config.vocab_size * h + norm * (last and config.final_norm)


ASKED = {
    "ChatGLM-6B": FIRST,
    "ChatGLM2-6B": SECOND,
    "LLaMA-7B": ModelConfig.preset("llama-7b"),
    "LLaMA-7B with one table": replace(ModelConfig.preset("llama-7b"), tied_head=True),
    "ChatGLM2-6B without a final norm": replace(SECOND, final_norm=False),
    "a LLaMA of two layers, with narrow heads and a bias on attention's output": replace(
        ModelConfig.preset("llama-7b"), num_layers=2, head_dim=64, attention_output_bias=True),
}
SHORT: tuple[tuple[str, str, Count], ...] = (
    ("no bias", "Three fields of the config say which linears have a bias; a bias has a number a row.",
     lambda config: count_parameters(config, bias=False)),
    ("a norm without its bias", "LayerNorm has a weight and a bias, RMSNorm a weight.",
     lambda config: count_parameters(config, centre=False)),
    ("keys for every head", "In ChatGLM2-6B keys and values are those of num_kv_groups groups.",
     lambda config: count_parameters(config, groups=False)),
    ("h for n times d", "The heads together are num_heads times head_dim wide, and that need not be hidden_size.",
     lambda config: count_parameters(config, widths=False)),
    ("no gate", "A gated feed-forward has three matrices.", lambda config: count_parameters(config, gate=False)),
    ("one norm a block", "A block has a norm before attention and one before the feed-forward.",
     lambda config: count_parameters(config, norms=1)),
    ("the final norm", "After the blocks stands one more norm.", lambda config: count_parameters(config, last=False)),
    ("one table", "Embedding and head are tables of their own, unless tied_head says that they are one.",
     lambda config: count_parameters(config, tables=1)),
    ("two tables always", "With tied_head, embedding and head are one table: count it once.",
     lambda config: count_parameters(config, tables=2)),
    ("a final norm always", "final_norm says whether there is one.",
     lambda config: count_parameters(config) + (not config.final_norm) * config.hidden_size),
)  # fmt: skip


def check_count(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(config) -> int`` equals ``config.parameter_count`` for six configs."""
    results = run(answer, [(config,) for config in ASKED.values()])
    if isinstance(results, Verdict):
        return results
    for name, result in zip(ASKED, results, strict=True):
        if isinstance(result, bool) or not isinstance(result, int):
            return Verdict(False, "not a whole number", f"{name}: {result!r} is a {type(result).__name__}, not an int.")
    wanted = [config.parameter_count for config in ASKED.values()]
    if results == wanted:
        return Verdict(True, "right", f"equal to what the config says, for {len(wanted)} models.")
    for kind, hint, short in SHORT:
        if results == [short(config) for config in ASKED.values()]:
            return Verdict(False, kind, hint)
    name, off = next((name, got - want) for name, got, want in zip(ASKED, results, wanted, strict=True) if got != want)
    return Verdict(False, "another mistake", f"{name}: {abs(off):,} too {'many' if off > 0 else 'few'}.")


# ---- 3. debug: logits from the tuple of hidden states ----


def logits_from(states: States, model: Transformer) -> Float[Tensor, "b s v"]:
    """The last entry is normalized already, but in ChatGLM2-6B and ChatGLM3-6B."""
    return _finish(states[-1], model, model.config.layout == "chatglm2")


def _finish(x: Tensor, model: Transformer, norm: bool) -> Tensor:
    if norm and model.final_norm is not None:
        x = model.final_norm(x)
    return model.head(x) if model.head is not None else x @ model.embedding.weight.T


def reported_logits(states: States, model: Transformer) -> Tensor:
    """The answer of the thread: right for the model that the question was about."""
    return _finish(states[-1], model, True)


LOGITS = (
    Slip(NOT_YET, "unchanged, this is right for ChatGLM2-6B and ChatGLM3-6B. What has the last entry of the others "
         "passed already?", reported_logits),
    Slip("the head alone", "That is the code of the question. In ChatGLM3-6B nobody has normalized the last entry.",
         lambda states, model: _finish(states[-1], model, False)),
    Slip("the wrong way round", "It is the second and third generation whose last entry comes before the norm.",
         lambda states, model: _finish(states[-1], model, model.config.layout != "chatglm2")),
    Slip("LLaMA as ChatGLM3-6B", "The last entry of LLaMA is behind its norm, as in ChatGLM-6B.",
         lambda states, model: _finish(states[-1], model, model.config.layout != "chatglm")),
    Slip("ChatGLM-6B as ChatGLM3-6B", "The last entry of ChatGLM-6B is behind its final_layernorm, as in LLaMA.",
         lambda states, model: _finish(states[-1], model, model.config.layout != "llama")),
    Slip("one block too early", "states[-2] has not passed the last block.",
         lambda states, model: _finish(states[-2], model, True)),
)  # fmt: skip


def _model(preset: str, **options: bool) -> Transformer:
    """A tiny model whose norms have learned something."""
    model = Transformer(replace(ModelConfig.preset(preset), **options)).eval()  # type: ignore[arg-type]
    for name, parameter in model.named_parameters():
        parameter.data = parameter + torch.randn_like(parameter) / 2 if "norm" in name else 5 * parameter.data
    return model.requires_grad_(False)


@cache
def logits_tries() -> list[Try]:
    """The tuple and the model, of each family, and one whose final norm is switched off."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        models = [_model(f"tiny-{layout}") for layout in ("chatglm", "chatglm2", "llama")]
        models.append(_model("tiny-chatglm2", final_norm=False))
    marks = [[config.gmask_id, config.bos_id] if config.gmask_id else [] for config in (m.config for m in models)]
    return [(hidden_states(m, torch.tensor([[10, 11, 12, *more]])), m) for m, more in zip(models, marks, strict=True)]


@torch.no_grad()
def check_logits_from(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(hidden_states, model) -> logits [b s v]`` for every family."""
    return judge(answer, logits_from, logits_tries(), LOGITS, _place, close=CLOSE)


def _place(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    layout = given[1].config.layout
    return f"{layout}: the first logit that differs, of token {index[1]}, is {got:.3f}; it should be {wanted:.3f}."
