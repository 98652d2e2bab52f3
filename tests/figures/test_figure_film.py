"""The attention film: a letter a weight, the last step without a script, and a slider that repaints every head."""

import re

import pytest
import torch
from gallery import LENGTH, Markup, film, sharp
from live_page import in_browser_thread

from glm_edu.errors import InputError
from glm_edu.figures import attention_film
from glm_edu.figures.attention import LEVELS, shade
from glm_edu.training.shades import LETTERS, pack, unpack


def thousandths(step):
    return (unpack(film().data["frames"][step], LENGTH) * 1000).round().int()


def test_a_letter_is_the_root_of_the_weight_and_back():
    probs = sharp()
    back = unpack(pack(probs), LENGTH)
    assert (back.sqrt() - probs.sqrt()).abs().max() <= 0.5 / 63 + 1e-6
    assert (back - probs).abs().max() < 0.016
    assert pack(back) == pack(probs)
    assert pack(torch.tensor([[[0.0, 1.0, 0.25]]])) == ["A/g"] and LETTERS[32] == "g"  # 63 * 0.5 rounds to 32


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_what_is_no_weight_is_not_packed(bad):
    with pytest.raises(InputError, match="not between 0 and 1"):
        pack(torch.tensor([[[bad]]]))


@pytest.mark.parametrize("heads, queries", [(["AB", "A"], 1), (["ABC"], 2), (["A!"], 1), ([], 1)])
def test_what_pack_does_not_write_is_not_unpacked(heads, queries):
    with pytest.raises(InputError, match="not what pack"):
        unpack(heads, queries)


def test_without_a_script_the_last_step_stands():
    figure = film()
    cells = Markup(figure.picture.partition("<tbody>")[2]).all("td")
    shades = torch.tensor([int(cell["style"].removeprefix("--p:")) for cell in cells]).view(LENGTH, LENGTH)
    assert shades.tolist() == [[shade(p) for p in row] for row in thousandths(2)[1].tolist()]
    assert '<p class="glm-said">at 40 it says 41</p>' in figure.picture
    assert figure.picture.count("<svg") == 2 and "0.1</small>" in figure.picture
    assert "the last of the steps from 0. at 40 it says 41" in figure.alt


def test_markup_in_what_is_said_stays_text():
    text = "<script>alert(1)</script>"
    figure = attention_film([torch.eye(1)[None]], [0], [text], [text], heads=[text])
    assert "<script>alert" not in figure.html and "&lt;script&gt;" in figure.picture


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"steps": [0]}, "2 frames, 1 steps, 2 said"),
        ({"frames": [], "steps": [], "said": []}, "0 frames"),
        ({"heads": ["a"]}, "heads has 1 entries, but the tensor's head axis has 2"),
        ({"tokens": ["a"]}, "tokens has 1 entries"),
        ({"head": 2}, "head 2 of 2"),
        ({"family": "v9"}, "family 'v9'"),
        ({"frames": [torch.full((2, 2, 2), float("nan"))] * 2}, "NaN"),
    ],
)
def test_what_does_not_fit_is_refused(changed, says):
    given = {"frames": [torch.eye(2).expand(2, 2, 2)] * 2, "steps": [0, 1], "tokens": ["a", "b"], "said": ["x", "y"],
             "heads": ["0", "1"]} | changed  # fmt: skip
    with pytest.raises(InputError, match=says):
        attention_film(**given)


def test_columns_may_have_names_of_their_own():
    frame = torch.tensor([[[0.7, 0.2, 0.1], [0.0, 0.4, 0.6]]])
    figure = attention_film([frame], [0], ["a", "b"], ["x"], heads=["0"], key_tokens=["P0", "a", "b"])
    assert (figure.data["rows"], figure.data["columns"]) == (["a", "b"], ["P0", "a", "b"])
    assert "a → P0: 0.71, b → b: 0.60" in figure.alt and ">P0<" in figure.picture
    with pytest.raises(InputError, match="key_tokens has 1 entries"):
        attention_film([frame], [0], ["a", "b"], ["x"], heads=["0"], key_tokens=["P0"])


@in_browser_thread
def test_the_page_reads_the_letters_as_python_does(visit):
    for packed in film().data["frames"]:
        page = visit.page.evaluate("a => glm.unpack(...a)", [packed, LENGTH])
        assert page == (unpack(packed, LENGTH) * 1000).round().int().tolist()


@in_browser_thread
def test_the_slider_repaints_the_map_the_thumbnails_and_the_words(visit):
    figure = visit.figure("film")
    slider = figure.get_by_label("Training step")
    assert figure.locator(".glm-value").text_content() == "40"
    for index, step in ((0, "0"), (1, "20"), (2, "40")):
        slider.fill(str(index))
        assert figure.locator(".glm-value").text_content() == step == slider.get_attribute("aria-valuetext")
        assert figure.locator(".glm-said").text_content() == f"at {step} it says {int(step) + 1}"
        for head in (0, 1):
            figure.get_by_role("button", name=f"0.{head}").click()
            shades = figure.locator("tbody td").evaluate_all("all => all.map(c => +c.style.getPropertyValue('--p'))")
            wanted = thousandths(index)[head].flatten().tolist()
            assert shades == [shade(p) for p in wanted]
            paths = figure.locator("button svg").nth(head).inner_html()
            levels = torch.zeros(LENGTH, LENGTH, dtype=torch.long)
            for level, path in re.findall(r'class="l(\d)" d="([^"]*)"', paths):
                for x, y in re.findall(r"M(\d+) (\d+)h1", path):
                    levels[int(y), int(x)] += int(level)
            assert levels.flatten().tolist() == [-(-shade(p) * LEVELS // 100) if p else 0 for p in wanted]
    assert figure.locator(".glm-read").text_content() == "Head 0.1 of 2: rows ask, columns answer."
