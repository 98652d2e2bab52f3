"""What ``output_hidden_states=True`` returns: one name, two meanings of its last entry.

Official: ChatGLMModel.forward in modeling_chatglm.py (ChatGLM-6B rev 8b7d335); GLMTransformer.forward in
modeling_chatglm.py (ChatGLM2-6B rev 1fd8e8d); LlamaModel in modeling_llama.py (transformers 5.23.0).
Differs: batch first; ``record`` has every stream by name, the last block's and the normalized one.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.model.transformer import Transformer
from glm_edu.record import record


@torch.no_grad()
def hidden_states(model: Transformer, input_ids: Int[Tensor, "b s"]) -> tuple[Float[Tensor, "b s h"], ...]:
    """The tuple as the official code of the model's family returns it: the embedding, then one entry a block.

    The last entry of ChatGLM2-6B and ChatGLM3-6B is what the last block makes; of the others, what the final norm
    makes of it, and the stream before it is in no entry.
    """
    names = ["embedding", *(f"blocks.{i}.output" for i in range(len(model.blocks)))]
    if model.config.layout != "chatglm2" and model.final_norm is not None:
        names[-1] = "final_norm"
    with record(model, names) as seen:
        model(input_ids)
    return tuple(seen[name] for name in names)
