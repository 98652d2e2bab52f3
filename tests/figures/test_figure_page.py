"""Every figure as HTML: escaped, the same twice, with alt text, small numbers, and colours that can be read."""

import json
import re

import pytest
import torch
from gallery import HOSTILE, Markup, figures, numbers, sharp

from glm_edu.errors import InputError
from glm_edu.figures import (
    ASSETS,
    Figure,
    attention_map,
    mask_painter,
    position_table,
    residual_norms,
    rule_mask,
    shape_flow,
)
from glm_edu.figures.markup import rich, script_json, significant, token_label
from glm_edu.figures.palette import DARK, FAMILIES, LIGHT, WORDS, tokens_css
from glm_edu.record import Row

FIGURES = figures()


def hostile_figures() -> dict[str, Figure]:
    n = len(HOSTILE)
    text = HOSTILE[0] + HOSTILE[2]
    return {
        "mask": mask_painter(rule_mask("prefix", 3, n), HOSTILE, caption=text, title=text),
        "attention": attention_map(sharp(2, n), HOSTILE, caption=text, title=text),
        "positions": position_table(torch.arange(n)[None], HOSTILE, caption=text),
        "shapes": shape_flow([Row(text, "b <s>", (1, 2), text, text)], title=text),
        "norms": residual_norms({text: torch.ones(3), "</script>": torch.ones(3)}, caption=text),
    }


@pytest.mark.parametrize("name, figure", hostile_figures().items())
def test_markup_in_tokens_stays_text(name, figure):
    page = Markup(figure.html)
    assert [script.get("type") for script in page.all("script")] == ["application/json"]
    assert not re.search(r"<(?!/?(?:figure|style|p|div|b|code|figcaption|script|table|thead|tbody|tr|t[dh]|span|svg|"
                         r"path|small|i|section|ol|li|g|text|rect|circle)\b)", figure.html)  # fmt: skip
    assert all(not key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert "alert(1)" in json.dumps(figure.data, ensure_ascii=False)


@pytest.mark.parametrize("name, figure", hostile_figures().items())
def test_the_data_comes_back_out_of_the_script_as_it_went_in(name, figure):
    stored = json.loads(Markup(figure.html).text["script"][0])
    assert stored["data"] == figure.data
    assert stored["words"].items() <= WORDS[figure.kind].items()


def test_no_string_can_close_its_script():
    text = script_json(["</script><script>alert(1)</script>", "<!--", "&", "\u2028\u2029"])
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text)[0] == "</script><script>alert(1)</script>"


def test_captions_know_bold_and_code_and_nothing_else():
    assert rich("**a** `b<c>` <i>") == "<b>a</b> <code>b&lt;c&gt;</code> &lt;i&gt;"


@pytest.mark.parametrize("token, label", [(" ", "␣"), ("a b", "a␣b"), ("\n", "⏎"), ("\t", "⇥"), ("", "∅"), (7, "7")])
def test_whitespace_tokens_can_be_seen(token, label):
    assert token_label(token) == label


@pytest.mark.parametrize("name", FIGURES)
def test_two_renders_are_equal(name):
    again = figures()[name]
    assert again.html == FIGURES[name].html
    assert repr(again) == repr(FIGURES[name])
    assert " at 0x" not in repr(again)


@pytest.mark.parametrize("name", FIGURES)
def test_numbers_have_four_significant_digits_at_most(name):
    found = list(numbers(FIGURES[name].data))
    assert found
    assert [x for x in found if isinstance(x, float) and float(f"{x:.4g}") != x] == []


@pytest.mark.parametrize("value, short", [(0.123456, 0.1235), (59.87654, 59.88), (3.0, 3), (0.0, 0), (-1234.56, -1235)])
def test_significant(value, short):
    assert significant(value) == short
    assert isinstance(significant(value), type(short))


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_has_the_frame_that_pages_rely_on(name):
    figure = FIGURES[name]
    page = Markup(figure.html)
    assert page.all("figure") == [{"class": "glm-figure", "data-figure": figure.kind}]
    picture = next(div for div in page.all("div") if div.get("class") == "glm-picture")
    assert picture["role"] == "img"
    assert picture["aria-label"] == figure.alt and len(figure.alt) > 40
    assert figure._repr_mimebundle_() == {"text/html": figure.html, "text/plain": repr(figure)}
    assert figure._repr_html_() == figure.html


def test_ids_never_meet_on_a_page():
    page = Markup("".join(figure.html for figure in FIGURES.values()))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", FIGURES)
def test_notebooks_stay_small(name):
    assert len(FIGURES[name].html.encode()) < 40_000


def test_nan_never_reaches_a_page():
    with pytest.raises(ValueError):
        script_json({"a": float("nan")})


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(colour: str, ink: str, share: float = 0.78) -> str:
    channels = [(int(colour[i : i + 2], 16), int(ink[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in channels)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "wash", "code", "lit"])
def test_text_can_be_read_on_every_ground(theme, ground):
    """4.5 is what WCAG AA asks of small text. Families are text only in their ink."""
    inks = {family.label: mixed(theme[family.colour], theme["ink"]) for family in FAMILIES.values()}
    for name, colour in {"ink": theme["ink"], "soft": theme["soft"], "right": theme["right"], **inks}.items():
        assert contrast(colour, theme[ground]) >= 4.5, name


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_fills_can_be_told_from_paper(theme):
    for family in FAMILIES.values():
        assert contrast(theme[family.colour], theme["paper"]) >= 3  # WCAG: graphics


def test_the_page_s_own_colours_win():
    css = tokens_css(".x", "color:var(--g-v1)")
    assert "--g-v1:var(--v1,#3d52b8)" in css and "--g-v1:var(--v1,#92a4ff)" in css
    assert "--g-llama" not in css


def test_the_script_names_no_address_and_no_word_of_its_own():
    script = (ASSETS / "live.js").read_text(encoding="utf-8")
    assert "http" not in script
    assert "innerHTML" not in script and "eval(" not in script


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "draw, way_out",
    [
        (lambda: attention_map(sharp()[None], list("ab")), r"probs\[0\]"),
        (lambda: mask_painter(torch.ones(1, 1, 3, 3).bool(), list("abc")), r"mask\[0, 0\]"),
        (lambda: mask_painter(torch.ones(3, 3).bool(), list("abc"), torch.ones(1, 2, 3).long()), r"position_ids\[0\]"),
        (lambda: position_table(torch.ones(1, 2, 3).long(), list("abc")), r"position_ids\[0\]"),
        (lambda: residual_norms({"a": torch.ones(3, 4)}), "one norm for each depth"),
    ],
    ids=["attention", "mask", "clocks", "positions", "norms"],
)
def test_a_recorded_batch_is_refused_with_the_way_out(draw, way_out):
    """What a user meets who passes a recorded tensor with its batch axis, without the tests' shape checks."""
    with pytest.raises(InputError, match=rf"has shape \(.*this figure takes \[.*{way_out}"):
        draw()
