"""Inside GLM: ChatGLM-6B, ChatGLM2-6B, ChatGLM3-6B and LLaMA from one readable network, equal to the official code."""

from glm_edu.config import ModelConfig
from glm_edu.errors import GLMError
from glm_edu.generate import generate, stream
from glm_edu.loss import next_token_loss
from glm_edu.model.cache import ConcatenatingCache, KVCache
from glm_edu.model.transformer import Transformer
from glm_edu.record import record
from glm_edu.text.chat import chat
from glm_edu.text.tokenizer import load_tokenizer

__version__ = "0.1.0"
__all__ = [
    "ConcatenatingCache",
    "GLMError",
    "KVCache",
    "ModelConfig",
    "Transformer",
    "chat",
    "generate",
    "load_tokenizer",
    "next_token_loss",
    "record",
    "stream",
]
