"""The exercises of chapter 2: solutions pass, stubs are told so, and each wrong answer gets the hint of its kind."""

import pytest
import torch
from verdicts import STUBS, assert_kind, assert_told_apart

from glm_edu.exercises import blanks
from glm_edu.exercises.blanks import EOP, ROWS, TOKENIZER, check_clocks, check_counts, check_labels
from glm_edu.training.corrupt import corrupt

# ---- what a learner may hand in: solutions written in other ways than the package's ----


def labels_in_loops(ids, sop, pad):
    labels, answering = [], False
    for token in ids.tolist():
        answering = answering or token == sop
        labels.append(token if answering and token not in (sop, pad) else -100)
    return torch.tensor(labels)


def labels_in_place(ids, sop, pad):
    first = ids.tolist().index(sop)
    ids[:first] = -100  # writes to its argument: the check itself must not notice
    ids[(ids == sop) | (ids == pad)] = -100
    return ids


def clocks_in_part_a(length, cuts):
    """Walks over the text and notes where each mask comes to stand."""
    sizes, places, here, there = dict(cuts), {}, 0, 0
    while here < length:
        if here in sizes:
            places[here] = there
        here, there = here + sizes.get(here, 1), there + 1
    position, block = list(range(there)), [0] * there
    for start, size in cuts:
        position += [places[start]] * (size + 2)
        block += range(1, size + 3)
    return torch.tensor([position, block])


def clocks_by_subtraction(length, cuts, half=0, first=1, frozen=True):
    context = length - sum(size - 1 for _, size in cuts)
    position, block = list(range(context)), [0] * context
    for start, size in cuts:
        place = start - sum(other - 1 + half for at, other in cuts if at < start)
        position += [place + (0 if frozen else i) for i in range(size + 2)]
        block += range(first, first + size + 2)
    return torch.tensor([position, block])


@pytest.mark.parametrize("solution", [labels_in_loops, labels_in_place, blanks.labels_of])
def test_right_labels_pass(solution):
    assert_kind(check_labels(solution), "right")


@pytest.mark.parametrize("solution", [clocks_in_part_a, clocks_by_subtraction, blanks.clocks_of])
def test_right_clocks_pass(solution):
    assert_kind(check_clocks(solution), "right")


def test_the_right_counts_pass_and_are_those_of_corrupt():
    example = corrupt(range(6, 30), [(6, 5)], TOKENIZER)
    tokens, counted = len(example.ids), int((example.labels != -100).sum())
    assert check_counts(tokens, counted).ok
    assert (
        sum(check_counts(n, counted).ok for n in range(40)) == sum(check_counts(tokens, n).ok for n in range(40)) == 1
    )


# ---- stubs ----


@pytest.mark.parametrize("check", [check_labels, check_clocks])
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_written_yet(check, stub):
    assert_kind(check(stub), "not written yet")


@pytest.mark.parametrize("tokens, counted", [(..., ...), (27, ...), (..., 6), (None, None)])
def test_unanswered_counts_are_not_written_yet(tokens, counted):
    assert check_counts(tokens, counted).kind == "not written yet"


# ---- wrong answers, written as a learner would write them ----


def first_sop(ids, sop):
    return ids.tolist().index(sop)


def everything(ids, sop, pad):
    return ids


def all_but_padding(ids, sop, pad):
    return ids.masked_fill(ids == pad, -100)


def with_sop(ids, sop, pad):  # as the official fine-tuning script has it
    labels = all_but_padding(ids, sop, pad)
    labels[: first_sop(ids, sop)] = -100
    return labels


def with_later_sops(ids, sop, pad):
    labels = all_but_padding(ids, sop, pad)
    labels[: first_sop(ids, sop) + 1] = -100
    return labels


def shifted(ids, sop, pad):
    return torch.cat([labels_in_loops(ids, sop, pad)[1:], torch.tensor([-100])])


def without_eop(ids, sop, pad):
    labels = labels_in_loops(ids, sop, pad)
    labels[labels == EOP] = -100
    return labels


def with_padding(ids, sop, pad):
    labels = ids.clone()
    labels[: first_sop(ids, sop)] = -100
    labels[ids == sop] = -100
    return labels


def from_the_last_sop(ids, sop, pad):
    labels = labels_in_loops(ids, sop, pad)
    labels[: int((ids == sop).nonzero()[-1])] = -100
    return labels


def to_the_first_eop(ids, sop, pad):
    labels = labels_in_loops(ids, sop, pad)
    labels[ids.tolist().index(EOP) + 1 :] = -100
    return labels


def zeros(ids, sop, pad):
    labels = labels_in_loops(ids, sop, pad)
    labels[labels == -100] = 0
    return labels


def the_given(ids, sop, pad):
    labels = ids.clone()
    labels[first_sop(ids, sop) :] = -100
    return labels


WRONG_LABELS = {
    everything: "everything is labelled", all_but_padding: "Part A is labelled", with_sop: "<sop> is labelled",
    with_later_sops: "a later <sop> is labelled", shifted: "shifted by hand", without_eop: "<eop> is forgotten",
    with_padding: "padding is labelled", from_the_last_sop: "only the last blank",
    to_the_first_eop: "only the first blank", zeros: "0 for -100", the_given: "Part A for Part B",
}  # fmt: skip


@pytest.mark.parametrize("answer, kind", WRONG_LABELS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_wrong_labels_get_the_hint_of_their_kind(answer, kind):
    assert_kind(check_labels(answer), kind)


def places_of_the_text(length, cuts):  # the function that the chapter asks you to mend
    context = length - sum(size for _, size in cuts) + len(cuts)
    position, block = list(range(context)), [0] * context
    for start, size in cuts:
        position += [start] * (size + 2)
        block += range(1, size + 3)
    return torch.tensor([position, block])


def by_order_of_filling(length, cuts):
    clocks = clocks_in_part_a(length, cuts)
    i, gone = clocks.shape[1] - sum(size + 2 for _, size in cuts), 0
    for start, size in cuts:
        clocks[0, i : i + size + 2] = start - gone
        i, gone = i + size + 2, gone + size - 1
    return clocks


def at_the_end(length, cuts):
    clocks = clocks_in_part_a(length, cuts)
    clocks[0, clocks[1] > 0] = int((clocks[1] == 0).sum()) - 1
    return clocks


def counts_on(length, cuts):
    clocks = clocks_in_part_a(length, cuts)
    return torch.stack([torch.arange(clocks.shape[1]), clocks[1]])


def one_long_block(length, cuts):
    clocks = clocks_in_part_a(length, cuts)
    return torch.stack([clocks[0], (clocks[1] > 0).cumsum(0)])


WRONG_CLOCKS = {
    "as handed over": (places_of_the_text, "not written yet"),
    "half": (lambda n, cuts: clocks_by_subtraction(n, cuts, half=1), "the earlier blanks are half counted"),
    "order": (by_order_of_filling, "the order of filling is counted"),
    "end": (at_the_end, "frozen at the end of Part A"),
    "free": (lambda n, cuts: clocks_by_subtraction(n, cuts, frozen=False), "the first clock is not frozen"),
    "on": (counts_on, "the first clock keeps counting"),
    "from 0": (lambda n, cuts: clocks_by_subtraction(n, cuts, first=0), "block starts at 0"),
    "from 2": (lambda n, cuts: clocks_by_subtraction(n, cuts, first=2), "block starts at 2"),
    "one block": (one_long_block, "block does not start anew"),
    "swapped": (lambda n, cuts: clocks_in_part_a(n, cuts).flip(0), "the clocks are swapped"),
}


@pytest.mark.parametrize("answer, kind", WRONG_CLOCKS.values(), ids=WRONG_CLOCKS)
def test_wrong_clocks_get_the_hint_of_their_kind(answer, kind):
    assert_kind(check_clocks(answer), kind)


@pytest.mark.parametrize(
    "tokens, counted, kind",
    [
        (24, 6, "nothing was added"), (25, 6, "the piece has no marks"), (26, 6, "a mark is missing"),
        (31, 6, "a mask for each character"), (27, 5, "<eop> is missing"), (27, 7, "<sop> is counted"),
        (27, 27, "Part A is counted"), (27, 21, "the others"), ("27", 6, "not a whole number"),
        (27, 9, "another number"),
    ],
)  # fmt: skip
def test_a_wrong_count_gets_the_hint_of_its_kind(tokens, counted, kind):
    verdict = check_counts(tokens, counted)
    assert (verdict.ok, verdict.kind) == (False, kind)
    assert verdict.hint.startswith("tokens: " if tokens != 27 else "counted: ")


def test_a_forgotten_eop_in_the_ids_is_told_by_the_shape():
    verdict = check_clocks(lambda length, cuts: clocks_in_part_a(length, cuts)[:, :-1])
    assert verdict.kind == "the shape" and "[2, 15]" in verdict.hint


def test_an_unknown_mistake_is_told_by_the_first_place_that_differs():
    def one_label(ids, sop, pad):
        labels = labels_in_loops(ids, sop, pad)
        labels[-1] = 7
        return labels

    def one_tick(length, cuts):
        clocks = clocks_in_part_a(length, cuts)
        clocks[1, -1] += 5
        return clocks

    assert check_labels(one_label).hint == "in a row of 15, the label of token 14 (<eop>) is 7; it should be 5."
    assert check_clocks(one_tick).hint == (
        "of 12 tokens with the blanks [(3, 2)], your block of token 14 is 9; it should be 4."
    )


# ---- the checks themselves rest on corrupt ----


@pytest.mark.parametrize("row, layout", list(zip(ROWS, blanks.LAYOUTS, strict=True)))
def test_the_right_labels_are_those_of_corrupt(row, layout):
    ids, _, pad = row
    labels = corrupt(range(6, 6 + layout[0]), layout[1], TOKENIZER).labels
    assert torch.equal(blanks.labels_of(*row)[: len(labels)], labels)
    assert (blanks.labels_of(*row)[len(labels) :] == -100).all() and (ids[len(labels) :] == pad).all()


@pytest.mark.parametrize("slips, tries", [(blanks.LABELS, ROWS), (blanks.CLOCKS, blanks.LAYOUTS)])
def test_no_two_mistakes_look_alike_on_the_inputs(slips, tries):
    assert_told_apart(slips, tries)
