"""The training loss: each token predicts the next one.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335 and ChatGLM2-6B rev 1fd8e8d),
ChatGLMForConditionalGeneration.forward.
Differs: the loss stays in float32; the official code casts it, and the logits, back to the model's dtype.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

IGNORED_LABEL = -100


def next_token_loss(logits: Float[Tensor, "b s v"], labels: Int[Tensor, "b s"]) -> Float[Tensor, ""]:
    """Mean cross entropy, in nats, of token i + 1 given the logits at i; labels of -100 do not count."""
    wide = logits[:, :-1].to(torch.promote_types(logits.dtype, torch.float32))  # b s-1 v
    return F.cross_entropy(wide.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED_LABEL)
