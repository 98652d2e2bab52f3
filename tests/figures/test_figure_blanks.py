"""The blank painter shows what ``corrupt`` makes, before and after live.js moves the blank."""

import pytest
import torch
from gallery import Markup
from live_page import Visit, in_browser_thread, visiting, write_page

from glm_edu.errors import InputError
from glm_edu.figures import blank_painter
from glm_edu.text.characters import SPECIALS, CharacterTokenizer
from glm_edu.training.corrupt import corrupt

POEM = "举头望山月，低头思故乡。"  # 头 stands there twice
N = len(POEM)
BLANKS = [(start, size) for start in range(N) for size in range(1, N - start + 1)]
FACE = {"mask": "[MASK]", "sop": "<sop>", "eop": "<eop>"}


def example(*blanks, mask="[MASK]"):
    """``corrupt`` on the poem, and its ids and labels as tokens."""
    tokenizer = CharacterTokenizer(dict.fromkeys([*SPECIALS, *POEM]))
    made = corrupt([tokenizer.ids[c] for c in POEM], blanks, tokenizer, mask)
    named = [[None if i == -100 else tokenizer.tokens[i] for i in row.tolist()] for row in (made.ids, made.labels)]
    return made, *named


def head(figure, row):
    """The cells of one row above the mask: 0 position, 1 block, 2 label, 3 must say."""
    cells = Markup(figure.picture.partition("<tbody>")[0]).text["td"][1:]  # the corner
    width = len(figure.data["tokens"])
    return cells[row * width : (row + 1) * width]


@pytest.mark.parametrize(
    "blanks, mask",
    [([(8, 2)], "[MASK]"), ([(0, 5)], "[MASK]"), ([(6, N - 6)], "[gMASK]"), ([(10, 1), (0, 2), (6, 4)], "[MASK]")],
    ids=["short", "first line", "rest", "three blanks, not in order"],
)
def test_the_static_picture_is_what_corrupt_makes(blanks, mask):
    made, tokens, labels = example(*blanks, mask=mask)
    figure = blank_painter(POEM, blanks, mask)
    assert figure.data["tokens"] == tokens and figure.data["labels"] == labels
    assert [head(figure, row) for row in (0, 1)] == [[str(i) for i in clock] for clock in made.positions.tolist()]
    assert head(figure, 2) == ["-100" if label is None else label for label in labels]
    assert head(figure, 3) == [label or "" for label in [*labels[1:], None]]
    cells = Markup(figure.picture.partition("<tbody>")[2]).text["td"]
    assert torch.equal(torch.tensor([int(cell) for cell in cells]).bool().view(len(tokens), -1), made.mask)
    assert figure.data["live"] == (len(blanks) == 1)


def test_part_a_is_drawn_apart_from_part_b():
    figure = blank_painter(POEM, [(8, 2)])
    assert 'colspan="11">A<' in figure.picture and 'colspan="4">B<' in figure.picture
    assert figure.picture.count("class=ctx") == 11 * 15
    assert figure.picture.count("class=past") == 4 + 3 + 2 + 1


def test_the_alt_text_says_both_parts():
    assert blank_painter(POEM, [(9, 2)]).alt == (
        "Part A is 举头望山月，低头思[MASK]。, Part B is <sop>故乡<eop>. "
        "In Part B the position is 9 9 9 9 and the block 1 2 3 4. 3 of 15 labels count, the others are -100."
    )


@pytest.mark.parametrize("blanks, says", [([], "at least one"), ([(11, 2)], "does not fit"), ([(0, 0)], "empty")])
def test_what_corrupt_refuses_is_refused(blanks, says):
    with pytest.raises(InputError, match=says):
        blank_painter(POEM, blanks)


# ---- live.js ----


def as_tokens(page_tokens):
    """Tokens of ``glm.blank``: an index of the poem or a name; null stays None."""
    return [POEM[t] if isinstance(t, int) else FACE.get(t) for t in page_tokens]


@in_browser_thread
def test_the_page_lays_out_every_blank_as_corrupt_does(visit):
    """Every start and length; a rest is the same with [gMASK] for [MASK]."""
    laid = visit.page.evaluate("all => all.map(([start, size]) => glm.blank(12, start, size))", BLANKS)
    for blank, page in zip(BLANKS, laid, strict=True):
        made, tokens, labels = example(blank)
        assert as_tokens(page["tokens"]) == tokens, blank
        assert as_tokens(page["labels"]) == labels, blank
        assert page["positions"] == made.positions.tolist(), blank
        assert page["mask"] == made.mask.int().tolist(), blank


ROWS = "f => [...f.querySelectorAll('thead tr')].map(r => [...r.cells].slice(1).map(c => c.textContent))"
CELLS = "f => [...f.querySelectorAll('tbody tr')].map(r => [...r.cells].slice(1).map(c => Number(c.textContent)))"


def assert_shows(visit: Visit, blank, mask="[MASK]"):
    made, tokens, labels = example(blank, mask=mask)
    figure = visit.figure("blank")
    heads, parts, position, block, label, says = figure.evaluate(ROWS)
    assert (heads, parts) == (tokens, ["A", "B"])
    assert [position, block] == [[str(i) for i in clock] for clock in made.positions.tolist()]
    assert label == ["-100" if text is None else text for text in labels]
    assert says == [text or "" for text in [*labels[1:], None]]
    assert figure.locator("tbody th").all_text_contents() == tokens
    assert figure.evaluate(CELLS) == made.mask.int().tolist()
    spans = figure.locator("thead .part th").evaluate_all("all => all.slice(1).map(th => th.colSpan)")
    assert spans == [tokens.index("<sop>"), len(tokens) - tokens.index("<sop>")]


@in_browser_thread
def test_the_controls_repaint_the_whole_figure(browser, tmp_path):
    with visiting(browser, write_page(tmp_path, {"blank": blank_painter(POEM, [(8, 2)])})) as visit:
        figure = visit.figure("blank")
        figure.scroll_into_view_if_needed()
        visit.page.wait_for_function("f => f.dataset.ready === '1'", arg=figure.element_handle())
        start, length = figure.get_by_label("Blank starts at"), figure.get_by_label("Length")
        assert_shows(visit, (8, 2))
        start.fill("2")
        assert_shows(visit, (2, 2))
        length.fill("5")
        assert_shows(visit, (2, 5))
        start.fill("10")  # only two are left: the blank shrinks
        assert_shows(visit, (10, 2))
        figure.get_by_label("[gMASK]: the rest").check()
        start.fill("6")
        assert_shows(visit, (6, 6), "[gMASK]")
        assert length.is_disabled() and length.input_value() == "6"
        assert figure.locator(".glm-read").text_content() == (
            "低头思故乡。 is cut out at 6. Part A: 7 tokens, Part B: 8. 7 labels count, 8 are -100."
        )
        body = figure.locator("tbody tr")
        for q, k, says in (
            (14, 0, "<eop> may look at 举: Part A is open to all"),
            (9, 8, "头 may look at 低: in Part B you see yourself and what stands before"),
            (0, 7, "举 may not look at <sop>: Part A never sees Part B"),
            (8, 9, "低 may not look at 头: it comes later in Part B"),
        ):
            body.nth(q).locator("td").nth(k).hover()
            assert figure.locator(".glm-read").text_content() == says
        assert visit.errors == []
