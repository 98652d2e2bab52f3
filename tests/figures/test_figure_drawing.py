"""matplotlib's figures in the house's frame: data, the page's colours and letters, ids of their own, equal bytes."""

import re
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import pytest
from gallery import HOSTILE, Markup, plot

from glm_edu.errors import InputError
from glm_edu.figures import choices, drawing, house_style
from glm_edu.figures.palette import DARK, FAMILIES, LIGHT, MARKERS

ALT = "Two curves, one of them with a gap."


def drawn(**changes):
    return drawing(plot(), **{"alt": ALT, "caption": "", "title": ""} | changes)


def two(**changes):
    return choices({"a": plot(2), "b": plot(3)}, **{"legend": "power", "chosen": "b", "alt": ALT} | changes)


def test_data_are_the_words_and_the_points_to_four_digits():
    axes = drawn().data["axes"]
    assert axes == [{
        "title": "", "x": "depth", "y": "norm", "texts": ["the second"],
        "lines": [
            {"label": "first", "x": [0, 1, 2], "y": [0, 0.1111, 0.4444]},
            {"label": "", "x": [0, 1, 2], "y": [1.5, None, 59.88]},
        ],
    }]  # fmt: skip


def test_choices_hold_the_data_of_each():
    data = two().data
    assert (data["legend"], data["chosen"]) == ("power", "b")
    curves = [axes[0]["lines"][0]["y"] for axes in data["choices"].values()]
    assert curves == [[0, 0.1111, 0.4444], [0, 0.03704, 0.2963]]


def test_colours_of_the_palette_become_the_page_s():
    for name, colour in LIGHT.items():
        figure, axes = plt.subplots()
        axes.plot([1, 2], color=colour)
        assert re.search(rf"stroke: var\(--g-{name}\)", picture := drawing(figure, alt=ALT).picture), name
        assert colour not in picture


@pytest.mark.parametrize("colour, name", [("black", "ink"), ("white", "paper")])
def test_black_and_white_follow_the_theme_too(colour, name):
    figure, axes = plt.subplots()
    axes.plot([1, 2], color=colour)
    assert f"stroke: var(--g-{name})" in drawing(figure, alt=ALT).picture


def test_text_in_a_family_s_colour_takes_its_ink_and_its_figure_defines_it():
    figure, axes = plt.subplots()
    axes.text(0.5, 0.5, "note", color=LIGHT["v1"])
    html = drawing(figure, alt=ALT).html
    assert "fill: var(--g-v1-ink)" in html
    assert "--g-v1-ink:color-mix(" in html and f"--g-v1:var(--v1,{DARK['v1']})" in html


def test_a_figure_defines_every_colour_that_it_uses():
    for html in (drawn().html, two().html):
        used = set(re.findall(r"var\((--g-[\w-]+)\)", html))
        assert {"--g-v1", "--g-soft", "--g-line"} <= used
        assert used <= set(re.findall(r"(--g-[\w-]+):", html)) | {"--g-hue"}


def test_the_background_is_the_page_s_and_the_letters_too():
    picture = drawn().picture
    assert "font-family" not in picture
    assert "<style" not in picture and "<metadata" not in picture  # a style sheet inside would rule the whole page
    assert "#ffffff" not in picture and "var(--g-paper)" not in picture
    assert {"first", "norm", "the second"} <= set(Markup(picture).text["text"])


def test_markup_in_words_stays_text():
    for text in HOSTILE:
        figure, axes = plt.subplots()
        axes.plot([1, 2], label=text)
        axes.set(xlabel=text.replace("$", ""), title=' id="x" fill: #3d52b8')
        shown = choices({text: figure, "b": plot()}, legend=text, chosen=text, alt=text + ".", caption=text, title=text)
        page = Markup(shown.html)
        assert [script.get("type") for script in page.all("script")] == ["application/json"]
        assert all(not key.startswith("on") for _, attributes in page.elements for key in attributes)
        assert ' id="x" fill: #3d52b8' in page.text["text"]
        assert page.text["legend"] == [text]


def test_letters_that_matplotlib_lacks_are_no_warning(recwarn):
    figure, axes = plt.subplots()
    axes.set_title("白日依山尽")
    assert "白日依山尽" in drawing(figure, alt=ALT).picture
    assert not recwarn.list


def ids(html):
    return [attributes["id"] for _, attributes in Markup(html).elements if "id" in attributes]


def test_ids_are_referenced_and_never_meet_on_a_page():
    html = drawn().html
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', html))
    assert used and used == set(ids(html))
    both = ids(html + drawn(caption="another").html + two().html + two(caption="another").html)
    assert len(set(both)) == len(both)


def test_radio_buttons_are_one_group_a_figure():
    one, other = ({radio["name"] for radio in Markup(two(title=title).html).all("input")} for title in ("", "other"))
    assert len(one) == len(other) == 1 and one != other


def test_the_figure_is_closed_and_settings_stay_as_they_were():
    before = dict(matplotlib.rcParams)
    drawn(), two()
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_house_style_draws_the_families_in_turn_with_their_dashes():
    with plt.rc_context(house_style()):
        figure, axes = plt.subplots()
        for _ in FAMILIES:
            axes.plot([1, 2])
    picture = drawing(figure, alt=ALT).picture
    styles = re.findall(r'style="fill: none;([^"]*stroke-width: 1.6[^"]*)"', picture)
    assert [re.search(r"--g-([\w-]+)", style)[1] for style in styles] == [f.colour for f in FAMILIES.values()]
    assert len({re.sub(r"stroke: [^;]*", "", style) for style in styles}) == len(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_is_drawn_alike_by_both_libraries(family):
    figure, axes = plt.subplots()
    (line,) = axes.plot([1, 2], linewidth=2, **family.line)
    plt.close(figure)
    dashes = line._dash_pattern[1]
    assert (" ".join(f"{length:g}" for length in dashes) if dashes else "none") == family.strokes
    assert line.get_marker() == MARKERS[family.symbol] and line.get_color() == LIGHT[family.colour]


def test_what_cannot_be_framed_is_refused():
    figure, axes = plt.subplots()
    with pytest.raises(InputError, match=r"figure is a Axes.*pass axes\.figure"):
        drawing(axes, alt=ALT)
    with pytest.raises(InputError, match="alt is empty"):
        drawing(figure, alt=" ")
    with pytest.raises(InputError, match=r"has 1 entries.*from 2 to 8"):
        choices({"a": figure}, legend="l", chosen="a", alt=ALT)
    with pytest.raises(InputError, match="'c', which figures does not have; it has a, b"):
        choices({"a": figure, "b": figure}, legend="l", chosen="c", alt=ALT)
    with pytest.raises(InputError, match=r"figures\['b'\] is a int"):
        choices({"a": figure, "b": 1}, legend="l", chosen="a", alt=ALT)
    plt.close(figure)


def test_matplotlib_is_loaded_by_the_first_drawing_and_not_before():
    code = "import sys, glm_edu.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
