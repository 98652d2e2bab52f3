"""A question of your own in the prompt format of each generation."""

from ipywidgets import Dropdown, Text

from glm_edu.figures import Figure, token_strip
from glm_edu.figures.chats import chat_parts
from glm_edu.figures.palette import WORDS
from glm_edu.figures.panels import check_choice
from glm_edu.parity.tokens import made_tokenizer
from glm_edu.widgets.explorer import Explorer

NAMES = {"ChatGLM-6B": "chatglm-6b", "ChatGLM2-6B": "chatglm2-6b", "ChatGLM3-6B": "chatglm3-6b"}
GREETING = "你好"


def explore_chat(question: str = GREETING, *, model: str = "ChatGLM3-6B", caption: str = "") -> Explorer:
    """The strip of one question. A text of blanks is taken for a greeting.

    The tokenizers hold the recorded pieces alone, so most other texts are cut into bytes. Raises InputError for a model
    that is not one of ``NAMES``.
    """
    check_choice("the list of models", NAMES, model, least=1)
    words = WORDS["token_strip"]

    def draw(question: str, model: str) -> Figure:
        messages = [{"role": "user", "content": question if question.strip() else GREETING}]
        parts = chat_parts(made_tokenizer(NAMES[model]), messages)
        return token_strip({model: parts}, then=words["then"], caption=caption)

    return Explorer(
        draw,
        question=Text(value=question, description=words["question"], continuous_update=False),
        model=Dropdown(options=[*NAMES], value=model, description=words["generation"]),
    )
