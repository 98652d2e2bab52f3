"""Model map, proof row, and what every element of a page has in common."""

import re
from itertools import pairwise

import pytest

from glm_edu.errors import GLMError
from glm_edu.model.masks import prefix_mask
from glm_edu.page import BOXES, ProofRow, listing, model_map, proof, table

ROWS = [
    ProofRow(True, "mask of `chatglm1_gmask`, every row", "0 of 169 cells differ"),
    ProofRow(False, "with `key <= context`: <b>sop</b>", "logits move by 0.9"),
    ProofRow(True, "a planted mistake", "1 of 1", verdict="caught"),
]
OPEN = ProofRow(None, "write the body of the function", "", verdict="not written yet")
ELEMENTS = {
    "glm-listing": lambda: listing(prefix_mask, highlight=["key <= query"]),
    "glm-map": lambda: model_map("mask", tensors_in="`scores` b n q k", tensors_out="`probs` b n q k"),
    "glm-proof": lambda: proof([*ROWS, OPEN]),
    "glm-table": lambda: table(["row", "nats"], [["**uniform**", "8.01 <b>"]], "`what` to notice", lit=["**uniform**"]),
}


def lit(svg: str) -> list[str]:
    return re.findall(r"<g class=lit>.*?<text[^>]*>([^<]*)</text>", svg)


def boxes(svg: str) -> list[str]:
    return re.findall(r"<rect[^>]*/><text[^>]*>([^<]*)</text>", svg)


def drawings(element) -> list[str]:
    return re.findall(r"<svg.*?</svg>", element.html)


@pytest.mark.parametrize("box", BOXES)
def test_the_map_lights_one_box_and_a_phone_sees_its_neighbours(box):
    whole, near = drawings(model_map(box))
    assert boxes(whole) == list(BOXES)
    assert lit(whole) == lit(near) == [box]
    at = BOXES.index(box)
    assert boxes(near) == list(BOXES[max(at - 1, 0) : at + 2])


def test_several_boxes_may_be_lit():
    whole, near = drawings(model_map(["norm", "residual"]))
    assert lit(whole) == lit(near) == ["norm", "residual"]
    assert boxes(near) == ["embedding", "norm", "positions", "heads", "residual", "feed-forward"]


def test_boxes_do_not_overlap_and_hold_their_words():
    spans = [
        (float(x), float(w))
        for x, w in re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)"', drawings(model_map("mask"))[0])
    ]
    assert len(spans) == len(BOXES)
    assert all(x + w < after for (x, w), (after, _) in pairwise(spans))
    assert all(w >= 5.5 * len(box) for (_, w), box in zip(spans, BOXES, strict=True))  # 11 px sans: about 5.5 a letter


def test_the_bracket_spans_one_block():
    whole = drawings(model_map("mask"))[0]
    left, right = re.search(r'<path d="M([\d.]+) 32v5H([\d.]+)v-5"/>', whole).groups()
    spans = {
        box: (float(x), float(w))
        for (x, w), box in zip(
            re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)"', whole), boxes(whole), strict=True
        )
    }
    assert float(left) == spans["norm"][0]
    assert float(right) == sum(spans["feed-forward"])


def test_the_map_says_what_goes_in_and_out():
    element = model_map("mask", tensors_in="`scores` b n q k", tensors_out="<probs>")
    assert "<b>in</b> <code>scores</code> b n q k · <b>out</b> &lt;probs&gt;" in element.html
    assert repr(element) == "glm-map: Model map; this chapter: mask; in scores b n q k; out <probs>"
    assert "<p>" not in model_map("mask").html


@pytest.mark.parametrize("wrong", ["attention", ["mask", "softmax"], []])
def test_an_unknown_box_is_an_error_that_lists_the_boxes(wrong):
    with pytest.raises(GLMError, match=r"tokens, embedding, .*final norm, logits"):
        model_map(wrong)


def test_proof_gives_verdict_in_words():
    markup = proof(ROWS).html
    assert re.findall(r'<b class="(\w+)">(\w+)</b>', markup) == [("ok", "equal"), ("no", "differs"), ("ok", "caught")]
    assert "<code>chatglm1_gmask</code>" in markup
    assert "<code>key &lt;= context</code>: &lt;b&gt;sop&lt;/b&gt;" in markup
    assert "equal, mask of chatglm1_gmask, every row, 0 of 169 cells differ" in repr(proof(ROWS))


def test_what_is_open_is_neither_green_nor_red():
    markup = proof([OPEN]).html
    assert '<b class="open">not written yet</b>' in markup and "b.open{color:var(--g-soft)}" in markup
    assert ProofRow(None, "", "").word == "open"
    assert "open" not in proof(ROWS).html  # and nobody else carries its rule


def test_proof_of_nothing_is_refused():
    with pytest.raises(GLMError, match="no rows"):
        proof([])


@pytest.mark.parametrize("name", ELEMENTS)
def test_each_element_carries_a_small_style_and_no_ids(name):
    element = ELEMENTS[name]()
    css = re.search(r"<style>(.*?)</style>", element.html, re.DOTALL)[1]
    assert element.html.startswith(f'<div class="{name}"><style>')
    assert len(css.encode()) < 2048
    assert " id=" not in element.html
    assert undefined(css) == set()


def undefined(css: str) -> set[str]:
    """Custom properties of ours that are used and never given a value."""
    return set(re.findall(r"var\((--g-[\w-]+)\)", css)) - set(re.findall(r"(--g-[\w-]+):", css))


@pytest.mark.parametrize("name", ELEMENTS)
def test_two_renders_are_equal(name):
    one, other = ELEMENTS[name](), ELEMENTS[name]()
    assert one._repr_mimebundle_() == other._repr_mimebundle_() == {"text/html": one.html, "text/plain": repr(one)}
    assert one._repr_html_() == one.html
