"""The module tree that an official model prints, line by line, beside the module or function here that does its work.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d), modeling_llama.py and modeling_glm.py
(transformers 5.23.0).
Differs: names are of ``__init__`` order there; query, key, value, gate and up, which some of them fuse, are apart here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

from glm_edu.checkpoints.name_maps import TABLES
from glm_edu.checkpoints.sketch import sketch
from glm_edu.config import ModelConfig

# Two spaces a level, the attribute's name and its class; {norm} is what the config says, {i} stands for every layer.
_CHATGLM = """
ChatGLMForConditionalGeneration
  transformer ChatGLMModel
    word_embeddings Embedding
    layers ModuleList
      {i} GLMBlock
        input_layernorm {norm}
        attention SelfAttention
          rotary_emb RotaryEmbedding
          query_key_value Linear
          dense Linear
        post_attention_layernorm {norm}
        mlp GLU
          dense_h_to_4h Linear
          dense_4h_to_h Linear
    final_layernorm {norm}
  lm_head Linear
"""
_CHATGLM2 = """
ChatGLMForConditionalGeneration
  transformer ChatGLMModel
    embedding Embedding
      word_embeddings Embedding
    rotary_pos_emb RotaryEmbedding
    encoder GLMTransformer
      layers ModuleList
        {i} GLMBlock
          input_layernorm {norm}
          self_attention SelfAttention
            query_key_value Linear
            core_attention CoreAttention
              attention_dropout Dropout
            dense Linear
          post_attention_layernorm {norm}
          mlp MLP
            dense_h_to_4h Linear
            dense_4h_to_h Linear
      final_layernorm {norm}
    output_layer Linear
"""
_LLAMA = """
LlamaForCausalLM
  model LlamaModel
    embed_tokens Embedding
    layers ModuleList
      {i} LlamaDecoderLayer
        self_attn LlamaAttention
          q_proj Linear
          k_proj Linear
          v_proj Linear
          o_proj Linear
        mlp LlamaMLP
          gate_proj Linear
          up_proj Linear
          down_proj Linear
          act_fn SiLUActivation
        input_layernorm {norm}
        post_attention_layernorm {norm}
    norm {norm}
    rotary_emb LlamaRotaryEmbedding
  lm_head Linear
"""
_GLM_MLP = "gate_up_proj Linear\n          down_proj Linear\n          activation_fn SiLUActivation"
_LLAMA_MLP = "gate_proj Linear\n          up_proj Linear\n          down_proj Linear\n          act_fn SiLUActivation"
TREES = {
    "chatglm": _CHATGLM,
    "chatglm2": _CHATGLM2,
    "llama": _LLAMA,
    "glm": _LLAMA.replace("Llama", "Glm").replace(_LLAMA_MLP, _GLM_MLP),
}
NORMS = {"layernorm": "LayerNorm", "rmsnorm": "RMSNorm"}  # the third kind carries its family's name
FUNCTIONS = {  # modules without parameters: functions of glm_edu.model here
    "rotary_emb": "rotary.angle_table", "rotary_pos_emb": "rotary.angle_table",
    "core_attention": "attention.eager_attention", "act_fn": "activations.silu", "activation_fn": "activations.silu",
}  # fmt: skip
CONTAINERS = {
    "layers": "blocks", "{i}": "blocks.{i}", "attention": "blocks.{i}.attention",
    "self_attention": "blocks.{i}.attention", "self_attn": "blocks.{i}.attention", "mlp": "blocks.{i}.feedforward",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of the tree.

    ``path``: the official name from the top, ``kind``: the official class. ``ours``: our modules, or the function that
    takes the module's place; nothing where there is no such level here. ``shape``: of the weight, nothing where there
    is none. ``parameters``: of all copies, and of everything inside. ``copies``: how often the line is there.
    """

    path: str
    kind: str
    ours: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    copies: int = 1

    @property
    def depth(self) -> int:
        """Levels below the top."""
        return len(self.path.split(".")) if self.path else 0

    @property
    def name(self) -> str:
        """The attribute's name, empty at the top."""
        return self.path.rpartition(".")[2]


def module_tree(config: ModelConfig) -> list[Line]:
    """Every module of the official model of ``config``, in the order in which it prints them; no P-tuning prefix."""
    leaves = {line.path: line for line in _leaves(config)}
    lines = []
    for path, kind in official_modules(config):
        name = path.rpartition(".")[2]
        inside = sum(leaf.parameters for leaf in leaves.values() if not path or leaf.path.startswith(f"{path}."))
        ours = "" if path else "Transformer"
        ours = CONTAINERS.get(name, "") or FUNCTIONS.get(name, ours)
        line = leaves.get(path) or Line(path, kind, (ours,) if ours else (), (), inside)
        lines.append(replace(line, kind=kind, copies=config.num_layers if "{i}" in path else 1))
    return lines


def official_modules(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """(path, class) of every line of the official tree; a switched off final norm is not there."""
    above: list[str] = []
    kind_of_norm = NORMS.get(config.norm, f"{config.layout.title()}RMSNorm")
    for line in TREES[config.layout].strip().splitlines():
        words, depth = line.split(), (len(line) - len(line.lstrip())) // 2
        above[max(depth - 1, 0) :] = words[:-1]
        if words[0] == "final_layernorm" and not config.final_norm:
            continue
        yield ".".join(above), words[-1].format(norm=kind_of_norm, i="{i}")


def _leaves(config: ModelConfig) -> Iterator[Line]:
    """The modules that hold parameters. Layers are alike, so one is built, without memory, and counted for all."""
    parameters = dict(sketch(replace(config, num_layers=1, quantization_bits=0, prefix_length=0)).named_parameters())
    for path, stems in TABLES[config.layout].items():
        copies = config.num_layers if "{i}" in path else 1
        held = [parameters.get(f"{stem.format(i=0)}.{kind}") for stem in stems for kind in ("weight", "bias")]
        if path.endswith(("lm_head", "output_layer")) and config.tied_head:
            yield Line(path, "", ("embedding",), (config.vocab_size, config.hidden_size), 0)  # counted there
        elif held[0] is not None:
            count = copies * sum(tensor.numel() for tensor in held if tensor is not None)
            yield Line(path, "", stems, _shape([p for p in held if p is not None and p.ndim == 2] or held[:1]), count)


def _shape(weights: list[nn.Parameter | None]) -> tuple[int, ...]:
    """Of weights that lie one under the other, as an official layout fuses them."""
    shapes = [tuple(weight.shape) for weight in weights if weight is not None]
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])
