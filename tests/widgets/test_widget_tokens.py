"""The widget of chapter 1: the strip follows the question and the model."""

from glm_edu.parity.tokens import made_tokenizer
from glm_edu.widgets import explore_chat


def ids(box):
    (strip,) = box.figure.data["strips"].values()
    return [number for part in strip for number in part["ids"]]


def test_the_strip_follows_the_question_and_the_model():
    box = explore_chat()
    assert ids(box) == [64790, 64792, 64795, 30910, 13, 36474, 54591, 64796]
    box.controls["model"].value = "ChatGLM-6B"
    assert ids(box) == [5, 74874, 130001, 130004]
    box.controls["question"].value = "1+1="
    assert ids(box) == made_tokenizer("chatglm-6b").encode("1+1=")
    box.controls["question"].value = "  "  # nothing to ask: a greeting
    assert ids(box) == [5, 74874, 130001, 130004]
    assert box.picture.value == box.figure.html
