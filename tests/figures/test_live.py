"""live.js in a real browser, from disk: figures come alive, controls repaint by the same rules as Python."""

from dataclasses import replace

import pytest
import torch
from accessible import violations
from gallery import CONTEXT, HOSTILE, LENGTH, TOKENS, sharp
from live_page import DESK, PHONE, Visit, in_browser_thread, read_to_the_end, visiting, write_page

from glm_edu import ModelConfig
from glm_edu.cost import cache_bytes
from glm_edu.figures import RULES, attention_map, mask_painter, residual_norms, rule_mask, rule_positions
from glm_edu.figures.rules import slide

CELLS = "f => [...f.querySelectorAll('tbody tr')].map(r => [...r.cells].slice(1).map(c => c.textContent))"
STICKING_OUT = """() => {
  const frame = e => /auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX);
  const scrolls = e => e !== document.body && (frame(e) || scrolls(e.parentElement));
  return [...document.querySelectorAll("main *")].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width > 1 && box.right > innerWidth + 1 && !scrolls(e.parentElement);
  }).map(e => e.outerHTML.slice(0, 120));
}"""


def cells(visit: Visit, name: str) -> list[list[str]]:
    return visit.figure(name).evaluate(CELLS)


def heads(visit: Visit, name: str) -> list[str]:
    return visit.figure(name).locator("thead tr").first.locator("th").all_text_contents()


def read(visit: Visit, name: str) -> str:
    return visit.figure(name).locator(".glm-read").text_content() or ""


def ones(mask: torch.Tensor) -> list[list[str]]:
    return [[str(int(cell)) for cell in row] for row in mask.tolist()]


@in_browser_thread
def test_all_figures_come_alive_without_an_error_or_a_request_elsewhere(visit):
    read_to_the_end(visit.page)
    assert visit.errors == []
    assert (
        visit.page.locator("figure.glm-figure").count() == visit.page.locator("figure[data-ready='1'].glm-live").count()
    )
    folder = visit.page.url.rpartition("/")[0]
    assert {request for request in visit.requests if not request.startswith((folder, "data:"))} == set()
    assert sum("plotly.min.js" in request for request in visit.requests) == 1


@in_browser_thread
def test_mask_rule_in_the_page_is_the_rule_in_python_for_every_context(visit):
    for rule in RULES:
        for pads in (0, 2):
            for context in range(LENGTH + 1):
                page = visit.page.evaluate("a => glm.maskOf(...a)", [rule, context, LENGTH, pads])
                assert page == rule_mask(rule, context, LENGTH, pads).int().tolist(), (rule, context, pads)


@in_browser_thread
def test_clocks_in_the_page_are_the_clocks_in_python_for_every_context(visit):
    for pads, anchor, channels in ((0, None, 2), (2, None, 2), (0, 2, 2), (3, 1, 2), (2, None, 1)):
        for context in range(LENGTH + 1):
            page = visit.page.evaluate("a => glm.positions(...a)", [context, LENGTH, pads, anchor, channels])
            assert page == rule_positions(context, LENGTH, pads, anchor, channels).tolist(), (context, pads, anchor)


@in_browser_thread
def test_sliding_in_the_page_is_sliding_in_python(visit):
    for to in range(1, LENGTH):
        assert visit.page.evaluate("a => glm.slide(...a)", [TOKENS, CONTEXT, to]) == slide(TOKENS, CONTEXT, to)


@in_browser_thread
def test_context_slider_and_rule_switch_repaint_every_cell(visit):
    figure = visit.figure("mask")
    slider = figure.get_by_label("Context length")
    assert cells(visit, "mask") == ones(rule_mask("prefix", CONTEXT, LENGTH))
    for rule in ("prefix", "causal", "sop_joins_prefix"):
        figure.locator(f"input[value={rule}]").check()
        for context in range(1, LENGTH):
            slider.fill(str(context))
            assert cells(visit, "mask") == ones(rule_mask(rule, context, LENGTH))
            assert heads(visit, "mask") == slide(TOKENS, CONTEXT, context)
            clocks = [row.locator("td").all_text_contents() for row in figure.locator("thead tr").all()[1:]]
            assert clocks == [[str(i) for i in row] for row in rule_positions(context, LENGTH).tolist()]
    slider.fill("4")
    assert figure.locator("td.bad").count() == 4
    assert read(visit, "mask") == "101 of 169 cells are visible. 4 differ from the prefix rule."


@in_browser_thread
def test_padding_stays_hidden_under_the_slider(visit):
    visit.figure("padded").get_by_label("Context length").fill("7")
    assert cells(visit, "padded") == ones(rule_mask("prefix", 7, 9, pads=2))
    assert heads(visit, "padded") == ["<pad>", "<pad>", "你", "a", "b", "c", "[M]", "sop", "d"]


@in_browser_thread
def test_a_cell_says_why(visit):
    figure = visit.figure("padded")
    figure.get_by_label("Context length").fill("4")
    body = figure.locator("tbody tr")
    for q, k, reason in (
        (2, 3, "你 may look at [M]: key 3 < context 4"),
        (6, 5, "b may look at a: key 5 ≤ query 6"),
        (2, 4, "你 may not look at sop: key 4 is neither in the context (4) nor ≤ query 2"),
        (0, 3, "padding: hidden from every query, and asks nothing"),
    ):
        body.nth(q).locator("td").nth(k).hover()
        assert read(visit, "padded") == reason


@in_browser_thread
def test_arrow_keys_walk_the_cells_one_at_a_time_in_the_tab_order(visit):
    figure, page = visit.figure("attention"), visit.page
    assert figure.locator("td[tabindex='0']").count() == 1
    figure.locator("td[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp", "End", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    q, k = 1, LENGTH - 1
    where = page.evaluate("[document.activeElement.parentNode.sectionRowIndex, document.activeElement.cellIndex - 1]")
    assert where == [q, k]
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == read(visit, "attention") == f"日 → 流: {said(sharp()[0, q, k])}"
    assert figure.locator("td[tabindex='0']").count() == 1


def said(weight: torch.Tensor) -> str:
    thousandth = round(1000 * float(weight)) / 1000
    return f"{thousandth:.3f}" if thousandth < 0.01 else f"{thousandth:.2f}"


@in_browser_thread
def test_thumbnails_switch_the_large_map(visit):
    figure = visit.figure("attention")
    for head in (3, 1):
        figure.get_by_role("button", name=f"head {head}").click()
        shades = figure.locator("tbody td").evaluate_all("all => all.map(c => Number(c.style.getPropertyValue('--p')))")
        expected = [round((max(round(1000 * p), 0) * 10) ** 0.5) for p in sharp()[head].flatten().tolist()]
        assert shades == expected
        pressed = figure.locator("button").evaluate_all("all => all.map(b => b.getAttribute('aria-pressed'))")
        assert pressed.index("true") == head and pressed.count("true") == 1


@in_browser_thread
def test_a_click_keeps_a_row_in_view_and_a_second_lets_go(visit):
    figure = visit.figure("attention")
    cell = figure.locator("tbody tr").nth(4).locator("td").nth(2)
    cell.click()
    dimmed = figure.locator("tbody tr").evaluate_all("all => all.map(r => r.classList.contains('dim'))")
    assert dimmed == [q != 4 for q in range(LENGTH)]
    visit.page.keyboard.press("Enter")
    assert figure.locator("tr.dim").count() == 0


@in_browser_thread
def test_growing_the_sequence_shows_which_clock_stands_still(visit):
    figure = visit.figure("positions")
    for upto, text in (
        (5, "尽 is token 4: position 4, block 0. Position counts, block stays 0."),
        (10, "河 is token 9: position 6, block 3. Position stands still, block counts on."),
    ):
        figure.get_by_label("Tokens so far").fill(str(upto))
        assert read(visit, "positions") == text
        numbers = figure.locator("tbody tr").first.locator("b").all()
        assert [number.is_visible() for number in numbers] == [i < upto for i in range(LENGTH)]


@in_browser_thread
def test_shape_flow_shows_one_part_and_steps_through_all(visit):
    figure = visit.figure("shapes")
    assert [row.is_visible() for row in figure.locator("li").all()].count(True) == 3  # position ids, mask, embedding
    figure.get_by_label("block 1").check()
    assert figure.locator("li:visible").count() == 14
    step = figure.get_by_label("Step")
    step.fill("6")
    assert figure.locator("input[value='0']").is_checked()
    assert figure.locator("li.at code").text_content() == "attention.query"
    assert read(visit, "shapes") == (
        "blocks.0.attention.query: b n q d = 1 × 4 × 13 × 16. New against the row before: n q d."
    )


@in_browser_thread
def test_plotly_draws_the_curves_in_the_colours_of_the_theme(visit):
    page, figure = visit.page, visit.figure("norms")
    assert not figure.locator(".glm-picture").is_visible()
    colours = {}
    for theme in ("light", "dark", "light"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        stroke = page.wait_for_function(
            """([figure, before]) => { const now = getComputedStyle(figure.querySelector('.js-line')).stroke;
               return now !== before && now; }""",
            arg=[figure.element_handle(), colours.get("light" if theme == "dark" else "dark")],
        ).json_value()
        colours[theme] = stroke
    assert colours == {"light": "rgb(61, 82, 184)", "dark": "rgb(146, 164, 255)"}  # --v1 of the palette
    values = figure.locator(".glm-plot").evaluate("plot => plot.data.map(trace => trace.y.length)")
    assert values == [4, 4]


SHOWN = "f => [...f.querySelectorAll('.glm-panel')].map(panel => panel.checkVisibility())"


@in_browser_thread
def test_a_choice_is_made_with_the_arrow_keys(visit):
    figure, page = visit.figure("choices"), visit.page
    assert figure.evaluate(SHOWN) == [False, True, False]
    figure.get_by_label("2 in all").focus()
    for key, shown in (("ArrowRight", 2), ("ArrowRight", 0), ("ArrowLeft", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert figure.evaluate(SHOWN) == [i == shown for i in range(3)]
        assert page.evaluate("document.activeElement.checked")
        outline = page.evaluate("getComputedStyle(document.activeElement.nextElementSibling).outlineStyle")
        assert outline == "solid"
    page.keyboard.press("Tab")  # the three are one stop, the picture the next
    assert page.evaluate("document.activeElement.className") == "glm-picture"


@in_browser_thread
def test_a_choice_and_a_drawing_need_no_script(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    panels = page.locator("[data-name=choices] .glm-panel")
    for chosen in (0, 2, 1):
        page.locator("[data-name=choices] label").nth(chosen).click()
        assert [panel.is_visible() for panel in panels.all()] == [i == chosen for i in range(3)]
    assert page.locator("[data-name=drawing] svg").is_visible()
    context.close()


@in_browser_thread
def test_a_drawing_follows_the_theme(visit):
    drawing = visit.figure("drawing")
    stroke = "f => getComputedStyle(f.querySelector('path[style*=\"--g-v1\"]')).stroke"
    fill = "f => getComputedStyle([...f.querySelectorAll('text')].at(-1)).fill"
    colours = []
    for theme in ("light", "dark"):
        visit.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        colours.append((drawing.evaluate(stroke), drawing.evaluate(fill)))
    assert colours == [("rgb(61, 82, 184)", "rgb(93, 99, 110)"), ("rgb(146, 164, 255)", "rgb(163, 168, 178)")]


@in_browser_thread
def test_the_rest_of_the_page_is_reached_by_tab(visit):
    """One stop for each control, one for each grid; the focus can be seen."""
    figure, page = visit.figure("mask"), visit.page
    figure.get_by_label("Context length").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "radio"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TD"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("width", [DESK, PHONE])
@in_browser_thread
def test_axe_finds_nothing_and_nothing_sticks_out(browser, address, width):
    with visiting(browser, address, width) as visit:
        read_to_the_end(visit.page)
        for theme in ("light", "dark"):
            visit.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            assert violations(visit.page) == []
        assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        assert visit.page.evaluate(STICKING_OUT) == []


@in_browser_thread
def test_controls_are_large_enough_for_a_thumb(browser, address):
    with visiting(browser, address, PHONE) as visit:
        read_to_the_end(visit.page)
        controls = visit.page.locator(".glm-choice label, .glm-slider input, .glm-heads button")
        boxes = [(box["width"], box["height"]) for box in (control.bounding_box() for control in controls.all()) if box]
        assert len(boxes) > 15
        assert min(min(box) for box in boxes) >= 24  # WCAG 2.2 AA target size, in pixels


@in_browser_thread
def test_figures_wait_until_they_are_near(browser, tmp_path):
    far = {
        "mask": mask_painter(rule_mask("prefix", 3, 5), list("abcde")),
        "norms": residual_norms({"a": torch.ones(3)}),
    }
    with visiting(browser, write_page(tmp_path, far, extra='<div style="height:6000px"></div>')) as visit:
        visit.page.wait_for_load_state("networkidle")
        assert visit.page.locator("[data-ready]").count() == 0
        assert not any("plotly" in request for request in visit.requests)
        read_to_the_end(visit.page)
        assert any("plotly" in request for request in visit.requests)


@in_browser_thread
def test_hostile_tokens_are_shown_and_do_nothing(browser, tmp_path):
    n = len(HOSTILE)
    shown = {
        "mask": mask_painter(rule_mask("prefix", 3, n), HOSTILE, rule_positions(3, n)),
        "attention": attention_map(sharp(1, n), HOSTILE),
    }
    with visiting(browser, write_page(tmp_path, shown)) as visit:
        visit.page.on("dialog", lambda dialog: visit.errors.append(dialog.message))
        read_to_the_end(visit.page)
        visit.figure("mask").get_by_label("Context length").fill("6")
        visit.figure("attention").locator("tbody td").first.hover()
        assert heads(visit, "attention")[:2] == HOSTILE[:2]
        assert HOSTILE[0] in read(visit, "attention")
        assert visit.errors == []
        assert visit.page.locator("script").count() == 3  # live.js and two blocks of data


@in_browser_thread
def test_without_plotly_the_static_drawing_stays(browser, tmp_path):
    page = write_page(tmp_path, {"norms": residual_norms({"a": torch.ones(3)})}, plotly_too=False)
    with visiting(browser, page) as visit:
        with visit.page.expect_event("console", lambda line: line.type == "warning" and "static drawing" in line.text):
            visit.page.locator("figure").scroll_into_view_if_needed()
        assert visit.page.locator("figure svg.glm-lines").is_visible()


@in_browser_thread
def test_a_figure_that_follows_no_rule_has_no_controls(browser, tmp_path):
    with visiting(browser, write_page(tmp_path, {"mask": mask_painter(torch.eye(3).bool(), list("abc"))})) as visit:
        read_to_the_end(visit.page)
        assert visit.figure("mask").locator("input").count() == 0
        assert cells(visit, "mask") == ones(torch.eye(3))


@in_browser_thread
def test_a_lens_cell_tells_its_tokens_and_the_choice_shows_the_other_reading(visit):
    figure = visit.figure("lens")
    shown = "f => [...f.querySelectorAll('table')].filter(t => t.offsetParent).map(t => t.tBodies[0].rows[2].innerText)"
    (alone,) = figure.evaluate(shown)
    figure.get_by_role("radio", name="norm").check()
    (normed,) = figure.evaluate(shown)
    assert " ".join(alone.split()) == "block 1 白 日 依"
    assert " ".join(normed.split()) == "block 1 依 山 mountain 尽"
    figure.locator("table").first.locator("tbody td").first.focus()
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("ArrowRight")
    assert read(visit, "lens").startswith("block 0, at sop: 依 1.00")
    figure.get_by_role("radio", name="head alone").check()
    assert read(visit, "lens") == "Point at a cell to read it, or use the arrow keys."


@in_browser_thread
def test_an_effect_says_its_number_when_it_is_pointed_at(visit):
    visit.figure("effects").locator("tbody tr").last.locator("td").last.hover()
    assert read(visit, "effects") == "block 1, at 流: 100 %"


@in_browser_thread
def test_a_cache_cell_tells_its_fate_in_each_grid_of_the_round_that_is_shown(visit):
    figure = visit.figure("cache")
    grids = figure.locator("table")
    assert [grid.is_visible() for grid in grids.all()] == [False, False, True, True]
    last = "block 1, 依: was cached, "
    for grid, fate in ((2, "but is stale and computed again"), (3, "and is still right")):
        grids.nth(grid).locator("tbody tr").first.locator("td").nth(2).hover()
        assert read(visit, "cache") == last + fate
    figure.get_by_role("radio", name="1").check()
    assert [grid.is_visible() for grid in grids.all()] == [True, True, False, False]
    grids.nth(0).locator("td[tabindex='0']").focus()
    visit.page.keyboard.press("ArrowDown")
    assert read(visit, "cache") == "block 0, 白: was not cached"


@in_browser_thread
def test_a_switch_makes_another_model_and_says_what_changes(visit):
    figure = visit.figure("switches")
    said = {name: figure.locator(f"[data-sum={name}]") for name in ("who", "parameters", "cache", "shapes", "changed")}
    static = {name: figure.evaluate("(f, n) => f.querySelector(`[data-sum=${n}]`).textContent", name) for name in said}
    assert static["who"] == "ChatGLM-6B" and static["changed"] == "none: the config as published"

    figure.get_by_role("radio", name="4 / 2", exact=False).check()  # groups of the second model
    mixed = replace(ModelConfig.preset("tiny-chatglm"), num_kv_groups=2, attention_output_bias=False)
    assert said["who"].inner_text() == "a mixture that nobody published"
    assert said["parameters"].inner_text() == f"{mixed.parameter_count:,}"
    assert said["cache"].inner_text().startswith(f"{cache_bytes(mixed, 1):,} bytes")
    assert said["changed"].inner_text() == "num_kv_groups=2 · attention_output_bias=False"
    assert "key, value [b 2 s 16]" in said["shapes"].inner_text()
    assert figure.get_by_text("No model of this mixture was trained").is_visible()

    figure.get_by_role("radio", name="ChatGLM2-6B").check()  # all of them
    second = ModelConfig.preset("tiny-chatglm2")
    assert said["parameters"].inner_text() == f"{second.parameter_count:,}"
    assert figure.get_by_text("a map of v2").is_visible() and not figure.get_by_text("a map of v1").is_visible()
    figure.get_by_role("radio", name="ChatGLM-6B", exact=True).check()
    assert {name: line.inner_text() for name, line in said.items()} == static
