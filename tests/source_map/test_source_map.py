"""The source map: every place exists, every chapter stands, no name that goldens or library know is missing."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import pytest
from safetensors import safe_open

from glm_edu import ModelConfig
from glm_edu.checkpoints.sketch import sketch
from glm_edu.parity import Case, case_names
from glm_edu.source_map import KEYS, MODELS, PARAMETERS, Entry, entries

ROOT = Path(__file__).resolve().parents[2]
MAP = entries()
NAMES = [entry for entry in MAP if entry.file not in (PARAMETERS, KEYS)]
# What readers look up, from the list that the book set itself.
_WANTED = """
    gelu_impl gelu PrefixEncoder RotaryEmbedding RotaryEmbedding.learnable RotaryEmbedding.precision
    max_seq_len_cached rotate_half apply_rotary_pos_emb_index SelfAttention LlamaAttention eager_attention_forward
    LlamaSdpaAttention LlamaFlashAttention2 GLU GLMBlock alpha apply_residual_connection_post_layernorm hidden_dropout
    fp32_residual_connection GLMTransformer layers kv_caches presents output_hidden_states gradient_checkpointing
    post_layer_norm final_layernorm ChatGLMPreTrainedModel ChatGLMModel get_input_embeddings set_input_embeddings
    get_output_embeddings set_output_embeddings ChatGLMForConditionalGeneration LlamaDecoderLayer repeat_kv
    CoreAttention MLP RMSNorm attention_fn split_tensor_along_last_dim get_masks get_position_ids get_prompt
    process_response build_prompt build_inputs QuantizedLinear InvalidScoreLogitsProcessor multi_query_attention
    num_key_value_heads multi_query_group_num kv_channels prefix_projection pre_seq_len inner_hidden_size
"""
WANTED = _WANTED.split()


def said(file: str | None = None) -> set[str]:
    """Every official name on the map, without the ", of the" words that some carry."""
    return {name.split(" ")[0].rsplit(".", 1)[-1] if file else name.split(" ")[0]
            for entry in MAP if file in (None, entry.file) for name in entry.names}  # fmt: skip


def found(place: str) -> bool:
    """Whether ``place`` is a module of the package, or an attribute that one has; fields of a dataclass count."""
    parts = ["glm_edu", *place.split(".")]
    for at in range(len(parts), 0, -1):
        try:
            target = importlib.import_module(".".join(parts[:at]))
        except ModuleNotFoundError:
            continue
        for name in parts[at:]:
            fields = getattr(target, "__dataclass_fields__", {})
            if not hasattr(target, name) and name not in fields:
                return False
            target = getattr(target, name, None)
        return True
    return False


@pytest.mark.parametrize("entry", [e for e in MAP if e.file != PARAMETERS], ids=lambda e: f"{e.file}: {e.names[0]}")
def test_every_place_can_be_imported(entry: Entry) -> None:
    assert [place for place in entry.here if not found(place)] == []
    assert entry.here or entry.note, "a name without a place needs a reason"


def test_the_search_for_a_place_can_fail() -> None:
    assert not found("model.block.Blocks") and not found("models") and not found("config.ModelConfig.no_such_field")


def test_every_parameter_is_a_module_of_the_network() -> None:
    prefix = dict(prefix_length=2, prefix_projection=True)
    modules: set[str] = set()
    for preset in ("tiny-chatglm", "tiny-chatglm2"):
        config = ModelConfig(**{**vars(ModelConfig.preset(preset)), **prefix})
        modules |= {name for name, _ in sketch(config).named_modules()}
    places = {place.format(i=0) for e in MAP if e.file == PARAMETERS for place in e.here}
    assert {place for place in places if place not in modules} == {"model.rotary.frequencies"}


def test_every_chapter_stands() -> None:
    stand = {int(path.name[:2]) for path in (ROOT / "book/chapters").glob("*.ipynb")}
    assert {chapter for entry in MAP for chapter in entry.chapters} <= stand
    assert all(entry.chapters for entry in NAMES)


def test_models_are_known_and_no_name_stands_twice_for_one_model() -> None:
    seen = [(entry.file, name, model) for entry in MAP for name in entry.names for model in entry.models]
    assert {model for _, _, model in seen} == MODELS.keys()
    assert len(seen) == len(set(seen))


def test_every_parameter_and_key_of_the_goldens_is_there() -> None:
    parameters, keys = said(PARAMETERS), said(KEYS)
    whole = {name for entry in MAP if entry.file == PARAMETERS for name in entry.names}
    for case in case_names():
        directory = Case(case).directory
        with safe_open(directory / "model.safetensors", "pt") as file:
            stems = {re.sub(r"(layers\.)\d+", r"\1{i}", name) for name in list(file.keys())}
        stems = {stem if stem in whole else stem.rpartition(".")[0] for stem in stems}
        assert stems <= whole, case
        assert json.loads((directory / "config.json").read_text(encoding="utf-8")).keys() <= keys, case
    assert parameters and keys


def test_every_class_and_function_of_modeling_llama_is_there() -> None:
    from transformers.models.llama import modeling_llama

    tree = ast.parse(inspect.getsource(modeling_llama))
    theirs = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert len(theirs) >= 15
    assert theirs <= said("modeling_llama.py")


def test_what_readers_look_up_is_there() -> None:
    names = said() | {name.rpartition(".")[2] for name in said()}
    assert [name for name in WANTED if name not in names] == []
