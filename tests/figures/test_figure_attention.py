"""The attention map holds every head, in thousandths, and its thumbnails show the same."""

import re

import pytest
import torch
from gallery import LENGTH, TOKENS, Markup, sharp

from glm_edu.errors import GLMError
from glm_edu.figures import attention_map
from glm_edu.figures.attention import LEVELS, shade


def test_data_is_the_tensor_in_thousandths():
    probs = sharp()
    data = torch.tensor(attention_map(probs, TOKENS).data["thousandths"])
    assert data.shape == probs.shape
    assert (data / 1000 - probs).abs().max() <= 0.0005 + 1e-7  # rounding to a thousandth


def test_the_large_map_shows_the_chosen_head_and_a_dot_on_each_row():
    probs = sharp()
    figure = attention_map(probs, TOKENS, head=2)
    cells = Markup(figure.picture.partition("<tbody>")[2]).all("td")
    shades = torch.tensor([int(cell["style"].removeprefix("--p:")) for cell in cells]).view(LENGTH, LENGTH)
    expected = [[shade(round(1000 * p)) for p in row] for row in probs[2].tolist()]
    assert shades.tolist() == expected
    dots = torch.tensor(["class" in cell for cell in cells]).view(LENGTH, LENGTH)
    assert dots.sum(1).tolist() == [1] * LENGTH
    assert dots.int().argmax(1).tolist() == probs[2].argmax(1).tolist()


@pytest.mark.parametrize("thousandth, percent", [(0, 0), (10, 10), (250, 50), (1000, 100)])
def test_shade_is_the_square_root(thousandth, percent):
    assert shade(thousandth) == percent


def test_thumbnails_show_every_head_cell_by_cell():
    probs = sharp()
    svgs = re.findall(r"<svg.*?</svg>", attention_map(probs, TOKENS).picture)
    assert len(svgs) == len(probs)
    for svg, head in zip(svgs, probs, strict=True):
        levels = torch.zeros(LENGTH, LENGTH, dtype=torch.long)
        for level, path in re.findall(r'class="l(\d)" d="([^"]*)"', svg):
            for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path):
                levels[int(y), int(x) : int(x) + int(width)] += int(level)
        expected = [[-(-shade(round(1000 * p)) * LEVELS // 100) for p in row] for row in head.tolist()]
        assert levels.tolist() == expected


def test_columns_may_have_tokens_of_their_own():
    probs = torch.tensor([[[0.25, 0.75, 0.0], [0.5, 0.2, 0.3]]])
    figure = attention_map(probs, ["x", "y"], key_tokens=["P0", "x", "y"])
    assert (figure.data["rows"], figure.data["columns"]) == (["x", "y"], ["P0", "x", "y"])
    assert "Strongest by row: x → x: 0.75, y → P0: 0.50." in figure.alt


def test_a_cached_step_is_one_row():
    figure = attention_map(torch.tensor([[[0.1, 0.9]]]), ["y"], key_tokens=["x", "y"])
    assert figure.data["thousandths"] == [[[100, 900]]]


def test_family_gives_the_colour():
    assert 'class="glm-llama"' in attention_map(sharp(), TOKENS, family="llama").picture


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"tokens": TOKENS[1:]}, "tokens has 12 entries.*query axis has 13"),
        ({"key_tokens": TOKENS[1:]}, "key_tokens has 12 entries.*key axis has 13"),
        ({"head": 4}, "head 4 of 4"),
        ({"head": -1}, "head -1 of 4"),
        ({"family": "gpt"}, "family 'gpt'"),
        ({"probs": sharp() * float("nan")}, "676 values that are NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    arguments = {"probs": sharp(), "tokens": TOKENS} | wrong
    with pytest.raises(GLMError, match=message):
        attention_map(arguments.pop("probs"), arguments.pop("tokens"), **arguments)


def test_heads_of_several_blocks_have_names_of_their_own():
    figure = attention_map(sharp(2), TOKENS, head=1, heads=["0.3", "2.1"])
    assert figure.data["heads"] == ["0.3", "2.1"]
    assert figure.alt.startswith("Attention of head 2.1, one of 2:")
    assert ">2.1</small>" in figure.picture
    assert "heads" not in attention_map(sharp(2), TOKENS).data
    with pytest.raises(GLMError, match="heads has 1 entries"):
        attention_map(sharp(2), TOKENS, heads=["0.3"])
