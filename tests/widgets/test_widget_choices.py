"""A widget that is to begin with something it does not offer says what it offers."""

import pytest

from glm_edu.errors import GLMError
from glm_edu.widgets import explore_chat, explore_mask, explore_overflow, explore_tree


@pytest.mark.parametrize(
    "explore, begin, offers",
    [
        (explore_tree, {"preset": "tiny-chatglm2"}, "chatglm-6b, chatglm2-6b, llama-7b"),
        (explore_chat, {"model": "GLM-4"}, "ChatGLM-6B, ChatGLM2-6B, ChatGLM3-6B"),
        (explore_overflow, {"norm": "batchnorm"}, "none, rmsnorm, layernorm"),
        (explore_mask, {"tokens": ["x", "[gMASK]", "sop"], "context": 2, "rule": "local"}, "prefix, causal"),
    ],
)
def test_what_is_not_offered_is_refused(explore, begin, offers):
    with pytest.raises(GLMError, match=f"does not have; it has {offers}"):
        explore(**begin)
