"""The exercises of chapter 9: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu import ModelConfig
from glm_edu.exercises import masks
from glm_edu.exercises.masks import check_cells, check_mask, check_positions, padded_positions, padded_prefix_mask
from glm_edu.model.positions import glm_positions
from glm_edu.parity import Case

# ---- what a learner may hand in: solutions written in other ways than the package's ----


def mask_in_loops(context, keep):
    n = len(keep)
    cells = [[bool(keep[q] and keep[k]) and (k < context or k <= q) for k in range(n)] for q in range(n)]
    return torch.tensor(cells)


def mask_from_two_squares(context, keep):
    mask = torch.tril(torch.ones(len(keep), len(keep), dtype=torch.bool))
    mask[:context, :context] = True
    mask[~keep] = False
    mask[:, ~keep] = False
    return mask


def positions_in_loops(context, keep):
    pads = int((~keep).sum())
    position = [max(min(i, context - 1) - pads, 0) for i in range(len(keep))]
    block = [max(i - context + 1, 0) for i in range(len(keep))]
    return torch.tensor([position, block])


def positions_in_place(context, keep):
    clocks = positions_in_loops(context, keep)
    keep.fill_(True)  # writes to its argument: the check itself must not notice
    return clocks


@pytest.mark.parametrize("solution", [mask_in_loops, mask_from_two_squares, padded_prefix_mask])
def test_a_right_mask_passes(solution):
    assert_kind(check_mask(solution), "right")


@pytest.mark.parametrize("solution", [positions_in_loops, positions_in_place, padded_positions])
def test_right_positions_pass(solution):
    assert_kind(check_positions(solution), "right")


def test_the_right_count_passes_and_is_that_of_the_drawn_grid():
    drawn = sum(key < 5 or key <= query for query in range(10) for key in range(10))
    assert check_cells(drawn).ok
    assert sum(check_cells(n).ok for n in range(102)) == 1


# ---- stubs ----


@pytest.mark.parametrize("check", [check_mask, check_positions])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


@pytest.mark.parametrize("stub", [..., None])
def test_an_unanswered_count_is_not_written_yet(stub):
    assert check_cells(stub).kind == "not written yet"


# ---- wrong answers, written as a learner would write them ----


def key_query(keep):
    key = torch.arange(len(keep))
    return key, key[:, None]


def with_padding(mask, keep):
    return mask & keep & keep[:, None]


def sop_joins(context, keep):
    key, query = key_query(keep)
    return with_padding((key <= context) | (key <= query), keep)


def mirrored(context, keep):
    key, query = key_query(keep)
    return with_padding((query < context) | (query <= key), keep)


def inverted(context, keep):
    key, query = key_query(keep)
    return (key >= context) & (key > query) | ~keep | ~keep[:, None]


def causal(context, keep):
    key, query = key_query(keep)
    return with_padding(key <= query, keep)


def strict(context, keep):
    key, query = key_query(keep)
    return with_padding((key < context) | (key < query), keep)


def only_rows_padded(context, keep):
    key, query = key_query(keep)
    return ((key < context) | (key <= query)) & keep[:, None]


def only_columns_padded(context, keep):
    key, query = key_query(keep)
    return ((key < context) | (key <= query)) & keep


def keep_forgotten(context, keep):
    key, query = key_query(keep)
    return (key < context) | (key <= query)


def opened(context, keep):
    return only_columns_padded(context, keep) | ~keep[:, None]


def pads_subtracted(context, keep):
    return keep_forgotten(context - int((~keep).sum()), keep) & keep & keep[:, None]


def pads_added(context, keep):
    return keep_forgotten(context + int((~keep).sum()), keep) & keep & keep[:, None]


def all_open(context, keep):
    return keep & keep[:, None]


WRONG_MASKS = {
    sop_joins: "sop joined the context", mirrored: "rows and columns swapped", inverted: "True for hidden",
    causal: "that is the causal mask", strict: "the diagonal is missing", only_rows_padded: "padding is visible",
    only_columns_padded: "padding still asks", keep_forgotten: "keep is not used", opened: "rows of padding are open",
    pads_subtracted: "padding is subtracted", pads_added: "padding is added twice", all_open: "the answer looks ahead",
}  # fmt: skip


@pytest.mark.parametrize("answer, kind", WRONG_MASKS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_a_wrong_mask_gets_the_hint_of_its_kind(answer, kind):
    assert_kind(check_mask(answer), kind)


def index_of(keep):
    return (keep.long().cumsum(-1) - 1).clamp(min=0)


def block_of(context, keep, first=1):
    return (torch.arange(len(keep)) - context + first).clamp(min=0)


def stops_in_padded_row(context, keep):  # the function that the chapter asks you to mend
    place = torch.arange(len(keep))
    position = torch.where(place < context, index_of(keep), context - 1)
    return torch.stack([position, block_of(context, keep)])


def stops_at_the_index_of_sop(context, keep):
    place = torch.arange(len(keep))
    position = torch.where(place < context, index_of(keep), context)
    return torch.stack([position, block_of(context, keep)])


def counts_on(context, keep):
    return torch.stack([index_of(keep), block_of(context, keep)])


def stands_on_sop(context, keep):
    return torch.stack([index_of(keep).clamp(max=index_of(keep)[context]), block_of(context, keep)])


def block_from_0(context, keep):
    return torch.stack([padded_positions(context, keep)[0], block_of(context, keep, first=0)])


def block_from_gmask(context, keep):
    return torch.stack([padded_positions(context, keep)[0], block_of(context, keep, first=2)])


def swapped(context, keep):
    position, block = positions_in_loops(context, keep)
    return torch.stack([block, position])


def pads_counted(context, keep):
    return positions_in_loops(context, torch.ones_like(keep))


def minus_one(context, keep):
    right = positions_in_loops(context, keep)
    right[0, ~keep] = -1
    return right


WRONG_CLOCKS = {
    stops_in_padded_row: "not written yet", counts_on: "the first clock keeps counting",
    stops_at_the_index_of_sop: "the first clock stops at the index of sop",
    stands_on_sop: "one place too far", block_from_0: "block starts at 0", block_from_gmask: "block starts too early",
    swapped: "the clocks are swapped", pads_counted: "padding is counted", minus_one: "below zero",
}  # fmt: skip


@pytest.mark.parametrize("answer, kind", WRONG_CLOCKS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_wrong_positions_get_the_hint_of_their_kind(answer, kind):
    assert_kind(check_positions(answer), kind)


def test_the_code_as_handed_over_is_told_to_be_unchanged():
    verdict = check_positions(stops_in_padded_row)
    assert verdict.hint.startswith("unchanged, this is the code as handed over.")
    assert "not written yet" in verdict._repr_html_() and "not right yet" not in verdict._repr_html_()


def counted(visible):
    return sum(bool(visible(query, key)) for query in range(10) for key in range(10))


WRONG_CELLS = {
    "sop joined the context": counted(lambda q, k: k <= 5 or k <= q),
    "that is the causal mask": counted(lambda q, k: k <= q),
    "hidden for visible": counted(lambda q, k: k >= 5 and k > q),
    "the diagonal is missing": counted(lambda q, k: k < 5 or k < q),
    "only the columns of the context": counted(lambda q, k: k < 5),
    "only the square of the context": counted(lambda q, k: k < 5 and q < 5),
    "nothing is hidden": 100,
}


@pytest.mark.parametrize("kind, count", WRONG_CELLS.items())
def test_a_wrong_count_gets_the_hint_of_its_kind(kind, count):
    assert check_cells(count).kind == kind


@pytest.mark.parametrize("answer", ["65", 65.0, True])
def test_what_is_no_count_is_told(answer):
    assert check_cells(answer).kind == "not a whole number"


def test_a_count_that_no_known_mistake_makes_is_told_its_direction():
    assert "too large" in check_cells(66).hint and "too small" in check_cells(64).hint


# ---- what is wrong before the numbers are ----


@pytest.mark.parametrize(
    "answer, kind, says",
    [
        (lambda context, keep: [[True]], "not a tensor", "list"),
        (lambda context, keep: padded_prefix_mask(context, keep)[None], "the shape", "[1, 13, 13]"),
        (lambda context, keep: padded_prefix_mask(context, keep).float(), "the kind of number", "float32"),
        (lambda context, keep: keep.nonsense, "it stops with an error", "AttributeError"),
    ],
)
def test_what_is_no_mask_at_all_is_told(answer, kind, says):
    verdict = check_mask(answer)
    assert verdict.kind == kind and says in verdict.hint and not verdict.ok


def test_an_unknown_mistake_is_told_by_the_first_place_that_differs():
    def one_cell(context, keep):
        mask = padded_prefix_mask(context, keep)
        mask[-1, 0] = False
        return mask

    def one_tick(context, keep):
        clocks = padded_positions(context, keep)
        clocks[1, -1] += 5
        return clocks

    assert check_mask(one_cell).hint == (
        "in a row of 13 tokens, 0 of them padding, with sop at 7, your mask hides key 0 from query 12."
    )
    assert check_positions(one_tick).hint == (
        "in a row of 13 tokens, 0 of them padding, with sop at 7, your block of token 12 is 11; it should be 6."
    )


def test_a_verdict_is_safe_to_show_whatever_the_learner_wrote():
    def answer(context, keep):
        raise ValueError("<script>alert(1)</script>")

    shown = check_mask(answer)._repr_mimebundle_()
    assert "<script>" not in shown["text/html"] and "&lt;script&gt;" in shown["text/html"]
    assert shown["text/plain"] == "it stops with an error: ValueError: <script>alert(1)</script>"


@pytest.mark.parametrize("cells, colour", [(65, 'class="ok"'), (66, 'class="no"'), (..., 'class="open"')])
def test_a_verdict_is_green_where_it_is_right_and_red_where_it_is_wrong(cells, colour):
    verdict = check_cells(cells)
    assert colour in verdict._repr_html_() and verdict.hint in verdict._repr_html_()


# ---- the checks themselves rest on the network and on the official outputs ----


def test_the_right_mask_and_positions_are_the_official_ones_of_a_padded_row():
    run = Case("chatglm1_batch").runs[0]
    ids, keep = run.inputs["input_ids"], run.inputs["attention_mask"].bool()
    assert not keep[1].all()
    for row in range(len(ids)):
        sop = ids[row].tolist().index(504)
        assert torch.equal(padded_prefix_mask(sop, keep[row]), run.outputs["mask"][row, 0])
        assert torch.equal(padded_positions(sop, keep[row]), run.inputs["position_ids"][row])


@pytest.mark.parametrize("context, keep", masks.TRIES)
def test_the_right_positions_are_those_of_the_package(context, keep):
    config = ModelConfig.preset("tiny-chatglm")
    ids = torch.full((1, len(keep)), 10)
    ids[0, context - 1], ids[0, context] = config.gmask_id, config.bos_id
    assert torch.equal(padded_positions(context, keep), glm_positions(ids, keep[None], config)[0][0])


@pytest.mark.parametrize("slips", [masks.MASKS, masks.CLOCKS])
def test_no_two_mistakes_look_alike_on_the_inputs(slips):
    assert_told_apart(slips, masks.TRIES)
