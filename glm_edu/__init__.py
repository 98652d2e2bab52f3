"""Inside GLM: ChatGLM-6B, ChatGLM2-6B, ChatGLM3-6B and LLaMA from one readable network, equal to the official code."""

from glm_edu.config import ModelConfig
from glm_edu.errors import GLMError

__version__ = "0.1.0"
__all__ = ["GLMError", "ModelConfig"]
