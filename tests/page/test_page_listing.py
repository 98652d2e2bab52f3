"""The listing shows the package's source as it stands, shapes apart, and cannot go stale unnoticed."""

import html
import inspect
import re

import pytest
import torch

import glm_edu.model.masks
from glm_edu import ModelConfig, Transformer
from glm_edu.errors import GLMError
from glm_edu.figures.grid import token_row
from glm_edu.model.masks import causal_mask, prefix_mask
from glm_edu.model.residual import scaled_post_norm
from glm_edu.page import listing
from glm_edu.page.source import official_source, source_lines, split_shapes, without_docstrings
from glm_edu.record import Seen


def shown(element) -> list[tuple[str, str, bool]]:
    """Each line as (code, shape, lit), as a reader sees it."""
    lines = re.findall(r'<span class="(glm-line[^"]*)">(.*?)\n</span>', element.html, re.DOTALL)
    return [
        (text(code).rstrip(), text(shape), "glm-hit" in names)
        for names, inner in lines
        for code, _, shape in [inner.partition('<span class="glm-shape">')]
    ]


def text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


def test_the_prefix_mask_is_shown_as_in_the_book():
    rows = shown(listing(prefix_mask, highlight=["key < context"]))
    assert rows[-1] == ("    return (key < context) | (key <= query)", "q k", True)
    assert [shape for _, shape, _ in rows if shape] == ["k", "q 1", "q k"]
    assert [lit for *_, lit in rows].count(True) == 1
    assert not any("first ``context`` tokens" in code for code, *_ in rows)  # its docstring


@pytest.mark.parametrize("obj", [prefix_mask, Seen, glm_edu.model.masks, token_row, listing])
def test_nothing_is_lost_and_nothing_is_copied(obj):
    """Code, shape and the rest of the comment, put together again, are the lines of the file."""
    rows = shown(listing(obj, docstring=True))
    source = inspect.getsource(obj).rstrip("\n").splitlines()
    assert len(rows) == len(source)
    for (code, shape, _), line in zip(rows, source, strict=True):
        kept = re.sub(r"\s*# (fmt|type|noqa)\b.*", "", line)
        assert sorted((code + shape).replace(" ", "").replace("#", "")) == sorted(
            kept.replace(" ", "").replace("#", "")
        )


def test_from_line_names_file_and_official_source():
    origin = re.search(r"<p>(.*?)</p>", listing(causal_mask).html)[1]
    assert html.unescape(origin).startswith(
        "glm_edu/model/masks.py · official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335)"
    )
    assert "Differs" not in origin
    assert "official" not in re.search(r"<p>(.*?)</p>", listing(token_row).html)[1]  # no official source for a figure


def test_the_header_may_run_over_several_lines_and_end_with_it():
    module = type(glm_edu.model.masks)("m", "Title.\n\nOfficial: one file,\n  its ``function``.")
    assert official_source(module) == "one file, its function"


@pytest.mark.parametrize(
    "line, code, shape",
    [
        ("x = f(y)  # b n q d", "x = f(y)", "b n q d"),
        ("x = f(y)      # b s (n d)", "x = f(y)", "b s (n d)"),
        ("x = f(y)  # b n k d   head i reads group i", "x = f(y)  # head i reads group i", "b n k d"),
        ("x = f(y)  # c b 1 s r/2", "x = f(y)", "c b 1 s r/2"),
        ("x = f(y)  # b n s d, b g s d", "x = f(y)", "b n s d, b g s d"),
        ("x = f(y)  # b s-1 v", "x = f(y)", "b s-1 v"),
        ("x = f(y)  # a comment", "x = f(y)  # a comment", ""),
        ("x = f(y)  # b is the batch", "x = f(y)  # b is the batch", ""),
        ("x = 'no  # b s'", "x = 'no  # b s'", ""),
        ("# b s", "# b s", ""),
        ("x = f(y)  #: b s", "x = f(y)  #: b s", ""),
    ],
)
def test_shape_comments_are_told_from_other_comments(line, code, shape):
    assert split_shapes([line]) == [(code, shape)]


DOCUMENTED = '''"""Module."""

x = 1

class A:
    """A."""

    def f(self):
        """F
        two."""
        return 1

class B(A):
    """Only this."""'''
BARE = '''x = 1

class A:
    def f(self):
        return 1

class B(A):
    """Only this."""'''


def test_docstrings_go_at_every_level_and_a_lone_one_stays():
    assert without_docstrings(DOCUMENTED) == BARE


def test_comments_for_tools_are_left_out():
    assert not [line for line in source_lines(glm_edu.model.transformer, True) if "# fmt:" in line or "# type:" in line]


def test_code_is_escaped_and_coloured():
    markup = listing(token_row).html
    assert "&lt;tr" in markup and "<tr" not in markup
    assert '<span class="k">def</span>' in markup
    assert '<span class="f">token_row</span>' in markup


def test_long_lines_scroll_in_a_frame_that_the_keyboard_reaches():
    assert '<pre tabindex="0" role="group" aria-label="Source of prefix_mask">' in listing(prefix_mask).html
    assert 'aria-label="Source of Seen.table"' in listing(Seen.table).html


def test_a_highlight_that_no_line_contains_is_an_error():
    with pytest.raises(GLMError, match="no line of prefix_mask contains 'key <= context'"):
        listing(prefix_mask, highlight=["key <= context"])


@pytest.mark.parametrize(
    "obj",
    [len, torch.arange, str, Transformer(ModelConfig.preset("tiny-llama"))],
    ids=["builtin", "torch", "type", "model"],
)
def test_only_the_package_is_shown(obj):
    with pytest.raises(GLMError, match="not a function, class or module of glm_edu"):
        listing(obj)


def test_a_wrapped_function_is_shown_from_inside():
    assert "return alpha * normed + out" in [row[0].strip() for row in shown(listing(scaled_post_norm))]


def test_a_name_is_not_the_thing(unchecked):
    with pytest.raises(GLMError, match="'prefix_mask' is not a function"):
        listing("prefix_mask")
