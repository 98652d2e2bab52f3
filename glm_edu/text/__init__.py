"""From text to ids and back, and from messages to answers."""

from glm_edu.text.chat import chat
from glm_edu.text.padding import Padded
from glm_edu.text.sampling import Sampling
from glm_edu.text.tokenizer import Tokenizer, load_tokenizer

__all__ = ["Padded", "Sampling", "Tokenizer", "chat", "load_tokenizer"]
