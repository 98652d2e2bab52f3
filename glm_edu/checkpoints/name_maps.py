"""Official tensor names beside ours: one table a layout.

Loading reads a table from left to right, saving from right to left. A name that stands in no table is never guessed.

Official: state dicts of modeling_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87),
modeling_llama.py and modeling_glm.py (transformers 5.23.0).
Differs: query, key, value, gate and up are always apart here; some official layouts fuse them into one matrix.
"""

_QKV = ("blocks.{i}.attention.query", "blocks.{i}.attention.key", "blocks.{i}.attention.value")
_GATE_UP = ("blocks.{i}.feedforward.gate", "blocks.{i}.feedforward.up")
_PREFIX = {
    "transformer.prefix_encoder.embedding": ("prefix.embedding",),
    "transformer.prefix_encoder.trans.0": ("prefix.project_in",),
    "transformer.prefix_encoder.trans.2": ("prefix.project_out",),
}
_HUGGING_FACE_START = {
    "model.embed_tokens": ("embedding",),
    "model.layers.{i}.input_layernorm": ("blocks.{i}.input_norm",),
    "model.layers.{i}.self_attn.q_proj": ("blocks.{i}.attention.query",),
    "model.layers.{i}.self_attn.k_proj": ("blocks.{i}.attention.key",),
    "model.layers.{i}.self_attn.v_proj": ("blocks.{i}.attention.value",),
    "model.layers.{i}.self_attn.o_proj": ("blocks.{i}.attention.output",),
    "model.layers.{i}.post_attention_layernorm": ("blocks.{i}.post_attention_norm",),
}
_HUGGING_FACE_END = {
    "model.layers.{i}.mlp.down_proj": ("blocks.{i}.feedforward.down",),
    "model.norm": ("final_norm",),
    "lm_head": ("head",),
}

# Official name -> our names in the order of their rows. ``.weight`` and ``.bias`` follow a name; {i} counts the blocks.
TABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "chatglm": {
        "transformer.word_embeddings": ("embedding",),
        "transformer.layers.{i}.input_layernorm": ("blocks.{i}.input_norm",),
        "transformer.layers.{i}.attention.query_key_value": _QKV,
        "transformer.layers.{i}.attention.dense": ("blocks.{i}.attention.output",),
        "transformer.layers.{i}.post_attention_layernorm": ("blocks.{i}.post_attention_norm",),
        "transformer.layers.{i}.mlp.dense_h_to_4h": ("blocks.{i}.feedforward.up",),
        "transformer.layers.{i}.mlp.dense_4h_to_h": ("blocks.{i}.feedforward.down",),
        "transformer.final_layernorm": ("final_norm",),
        "lm_head": ("head",),
        **_PREFIX,
    },
    "chatglm2": {
        "transformer.embedding.word_embeddings": ("embedding",),
        "transformer.encoder.layers.{i}.input_layernorm": ("blocks.{i}.input_norm",),
        "transformer.encoder.layers.{i}.self_attention.query_key_value": _QKV,
        "transformer.encoder.layers.{i}.self_attention.dense": ("blocks.{i}.attention.output",),
        "transformer.encoder.layers.{i}.post_attention_layernorm": ("blocks.{i}.post_attention_norm",),
        "transformer.encoder.layers.{i}.mlp.dense_h_to_4h": _GATE_UP,
        "transformer.encoder.layers.{i}.mlp.dense_4h_to_h": ("blocks.{i}.feedforward.down",),
        "transformer.encoder.final_layernorm": ("final_norm",),
        "transformer.output_layer": ("head",),
        **_PREFIX,
    },
    "llama": {
        **_HUGGING_FACE_START,
        "model.layers.{i}.mlp.gate_proj": ("blocks.{i}.feedforward.gate",),
        "model.layers.{i}.mlp.up_proj": ("blocks.{i}.feedforward.up",),
        **_HUGGING_FACE_END,
    },
    "glm": {**_HUGGING_FACE_START, "model.layers.{i}.mlp.gate_up_proj": _GATE_UP, **_HUGGING_FACE_END},
}

# Official buffers without anything to read: inverse frequencies, which follow from the config. A strict official load
# wants them in the file, except the old ones, which only files of earlier transformers hold.
BUFFERS: dict[str, tuple[str, ...]] = {
    "chatglm": ("transformer.layers.{i}.attention.rotary_emb.inv_freq",),
    "chatglm2": ("transformer.rotary_pos_emb.inv_freq",),
    "llama": (),
    "glm": (),
}
OLD_BUFFERS: dict[str, tuple[str, ...]] = {"llama": ("model.layers.{i}.self_attn.rotary_emb.inv_freq",)}
