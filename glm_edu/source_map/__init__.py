"""Where a name of the official sources stands here: their module trees, what they return, and the source map.

Official: modeling_chatglm.py, configuration_chatglm.py, tokenization_chatglm.py and quantization.py (ChatGLM-6B rev
8b7d335; ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87), modeling_llama.py (transformers 5.23.0).
Differs: names only; no line of theirs is here.
"""

from glm_edu.source_map.entries import KEYS, MODELS, PARAMETERS, Entry, entries
from glm_edu.source_map.hidden import hidden_states
from glm_edu.source_map.tree import Line, module_tree

__all__ = ["KEYS", "MODELS", "PARAMETERS", "Entry", "Line", "entries", "hidden_states", "module_tree"]
