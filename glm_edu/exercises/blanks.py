"""The exercises of chapter 2: count what a blank makes, write the labels, mend the clocks of several blanks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.exercises import NOT_YET, Answer, Slip, Verdict, judge, judge_number
from glm_edu.loss import IGNORED_LABEL
from glm_edu.text.characters import SPECIALS, CharacterTokenizer
from glm_edu.training.batches import collate
from glm_edu.training.corrupt import corrupt

Ids = Int[Tensor, " s"]
Clocks = Int[Tensor, "2 s"]
Blanks = Sequence[tuple[int, int]]

TOKENIZER = CharacterTokenizer([*SPECIALS, *"abcdefghijklmnopqrstuvwx"])
SOP, EOP, PAD = TOKENIZER.sop_id, TOKENIZER.eop_id, TOKENIZER.pad_id
LENGTH, SIZE = 24, 5  # tokens of the poem, characters of the blank
LAYOUTS: tuple[tuple[int, Blanks], ...] = (
    (12, [(3, 2)]), (24, [(6, 5)]), (24, [(2, 1), (9, 2), (18, 5)]), (12, [(7, 1), (0, 4)]),
)  # fmt: skip


# ---- 1. predict: how long the ids are, and how many labels count ----

TOKENS = (
    Slip("nothing was added", "A mask token takes the blank's place, and two marks go around the piece.", LENGTH),
    Slip("the piece has no marks", "The piece is written between two marks.", LENGTH + 1),
    Slip("a mark is missing", "The piece has a mark in front and one behind.", LENGTH + 2),
    Slip("a mask for each character", "One mask token stands for the whole blank, however long.", LENGTH + SIZE + 2),
)
COUNTED = (
    Slip("<eop> is missing", "How does the model learn to stop?", SIZE),
    Slip("<sop> is counted", "Whoever asks writes <sop>. Does the model have to predict it?", SIZE + 2),
    Slip("Part A is counted", "Part A is given: none of its labels counts.", LENGTH + 3),
    Slip("the others", "That is how many are -100.", LENGTH + 3 - SIZE - 1),
)


def check_counts(tokens: object, counted: object) -> Verdict:
    """Exercise 1: a poem of 24 tokens with a blank of 5: the length of its ids, and the labels that are not -100."""
    for name, answer, right, slips in (
        ("tokens", tokens, LENGTH + 3, TOKENS),
        ("counted", counted, SIZE + 1, COUNTED),
    ):
        verdict = judge_number(answer, right, slips)
        if not verdict.ok:
            return verdict if verdict.kind == NOT_YET else Verdict(False, verdict.kind, f"{name}: {verdict.hint}")
    return Verdict(True, "right", f"{LENGTH + 3} tokens, and {SIZE + 1} labels count.")


# ---- 2. implement: the labels of a row with any number of blanks, padded on the right ----


def _row(length: int, blanks: Blanks, longest: int) -> Ids:
    """The ids of one row, padded to ``longest``."""
    example = corrupt(range(len(SPECIALS), len(SPECIALS) + length), blanks, TOKENIZER)
    wide = torch.zeros(longest, dtype=torch.long)
    return collate([example, example._replace(ids=wide)], PAD).ids[0]


ROWS = tuple((_row(length, blanks, longest), SOP, PAD)
             for (length, blanks), longest in zip(LAYOUTS, (15, 30, 33, 20), strict=True))  # fmt: skip


def labels_of(ids: Ids, sop: int, pad: int) -> Ids:
    """Each token of Part B that is neither <sop> nor padding is its own label."""
    return _keep(ids, _part_b(ids, sop) & (ids != sop) & (ids != pad))


def _part_b(ids: Ids, sop: int) -> Bool[Tensor, " s"]:
    return (ids == sop).cumsum(0) > 0


def _keep(ids: Ids, counts: Bool[Tensor, " s"], ignored: int = IGNORED_LABEL) -> Ids:
    return torch.where(counts, ids, ignored)


def _but(drop: Callable[[Ids, int, int], Bool[Tensor, " s"]]) -> Answer:
    """The right labels, but some of them dropped."""
    return lambda ids, sop, pad: labels_of(ids, sop, pad).masked_fill(drop(ids, sop, pad), IGNORED_LABEL)


def _shifted(ids: Ids, sop: int, pad: int) -> Ids:
    labels = labels_of(ids, sop, pad)
    return torch.cat([labels[1:], labels.new_full((1,), IGNORED_LABEL)])


LABELS = (
    Slip("everything is labelled",
         "That trains Part A too, where every token sees the next one: there is nothing to predict, only to copy.",
         lambda ids, sop, pad: ids),
    Slip("Part A is labelled",
         "In Part A every token sees the next one: there is nothing to predict, only to copy.",
         lambda ids, sop, pad: _keep(ids, ids != pad)),
    Slip("<sop> is labelled",
         "Whoever asks writes <sop>; it need not be predicted. The official fine-tuning script does label it; "
         "corrupt does not.",
         lambda ids, sop, pad: _keep(ids, _part_b(ids, sop) & (ids != pad))),
    Slip("a later <sop> is labelled",
         "With one blank your labels are right. With more, each has a <sop> of its own.",
         lambda ids, sop, pad: _keep(ids, ((ids == sop).cumsum(0).cumsum(0) > 1) & (ids != pad))),
    Slip("shifted by hand",
         "Your labels stand one place too early. The loss shifts them: labels[i] is the token that stands at i.",
         _shifted),
    Slip("<eop> is forgotten",
         "The characters are right. Without a label on <eop> the model never learns to stop.",
         _but(lambda ids, sop, pad: ids == EOP)),
    Slip("padding is labelled",
         "Without padding your labels are right. Nobody should learn to write padding.",
         lambda ids, sop, pad: _keep(ids, _part_b(ids, sop) & (ids != sop))),
    Slip("only the last blank",
         "With one blank your labels are right. With more, the earlier pieces are predicted too.",
         _but(lambda ids, sop, pad: (ids == sop).flip(0).cumsum(0).flip(0) > 0)),
    Slip("only the first blank",
         "With one blank your labels are right. With more, the later pieces are predicted too.",
         _but(lambda ids, sop, pad: (ids == sop).cumsum(0) > 1)),
    Slip("0 for -100",
         "The right places, but 0 is the id of a token. The loss leaves out -100 and nothing else.",
         lambda ids, sop, pad: labels_of(ids, sop, pad).where(labels_of(ids, sop, pad) != IGNORED_LABEL, 0)),
    Slip("Part A for Part B",
         "You labelled what is given and left out what is asked.",
         lambda ids, sop, pad: _keep(ids, ~_part_b(ids, sop))),
)  # fmt: skip


def check_labels(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(ids, sop, pad) -> Int[s]``, the labels of one row of ids."""
    return judge(answer, labels_of, ROWS, LABELS, _label)


def _label(given: tuple[Ids, int, int], index: tuple[int, ...], got: int, wanted: int) -> str:
    ids, where = given[0], index[0]
    token = TOKENIZER.tokens[int(ids[where])]
    return f"in a row of {len(ids)}, the label of token {where} ({token}) is {got}; it should be {wanted}."


# ---- 3. debug: the two clocks of several blanks ----


def clocks_of(length: int, blanks: Blanks) -> Clocks:
    """The positions of a text of ``length`` tokens without ``blanks``, which Part B fills in the order given."""
    return corrupt(range(len(SPECIALS), len(SPECIALS) + length), blanks, TOKENIZER).positions


def _part_a(length: int, blanks: Blanks) -> int:
    return length - sum(size for _, size in blanks) + len(blanks)


def _filled(frozen: Callable[[int, Blanks, int, int], int]) -> Answer:
    """Clocks whose first stands, in each blank, at ``frozen(length, blanks, start, size)``."""

    def wrong(length: int, blanks: Blanks) -> Clocks:
        clocks = clocks_of(length, blanks)
        places = [frozen(length, blanks, start, size) for start, size in blanks for _ in range(size + 2)]
        clocks[0, _part_a(length, blanks) :] = torch.tensor(places)
        return clocks

    return wrong


def _changed(clock: int, change: Callable[[Clocks, Ids], Ids]) -> Answer:
    """One clock made anew in Part B: ``change(clocks, place)``, with place 0, 1, 2, ... from the first <sop> on."""

    def wrong(length: int, blanks: Blanks) -> Clocks:
        clocks, context = clocks_of(length, blanks), _part_a(length, blanks)
        clocks[clock, context:] = change(clocks[:, context:], torch.arange(clocks.shape[1] - context))
        return clocks

    return wrong


def _before(blanks: Blanks, start: int) -> list[int]:
    return [size for other, size in blanks if other < start]


CLOCKS = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. With one blank its ids are right. With several, an answer "
         "stands further on than its [MASK].",
         _filled(lambda length, blanks, start, size: start)),
    Slip("the earlier blanks are half counted",
         "Each earlier blank takes its characters out of Part A, and puts one token in.",
         _filled(lambda length, blanks, start, size: start - sum(_before(blanks, start)))),
    Slip("the order of filling is counted",
         "You subtract the blanks that are filled earlier. Which ones stand earlier in the text?",
         _filled(lambda length, blanks, start, size: start - sum(
             size - 1 for _, size in blanks[: [s for s, _ in blanks].index(start)]))),
    Slip("frozen at the end of Part A",
         "That is where [gMASK] stands. A [MASK] stands inside the text.",
         _filled(lambda length, blanks, start, size: _part_a(length, blanks) - 1)),
    Slip("the first clock is not frozen",
         "In a blank, position stands still: all its tokens stand where their [MASK] stands.",
         _changed(0, lambda clocks, place: clocks[0] + clocks[1] - 1)),
    Slip("the first clock keeps counting",
         "From <sop> on, position is that of the [MASK] which is filled.",
         lambda length, blanks: torch.stack(
             [torch.arange(clocks_of(length, blanks).shape[1]), clocks_of(length, blanks)[1]])),
    Slip("block starts at 0",
         "<sop> should have block 1: 0 is kept for Part A.",
         _changed(1, lambda clocks, place: clocks[1] - 1)),
    Slip("block starts at 2",
         "<sop> itself should have block 1.",
         _changed(1, lambda clocks, place: clocks[1] + 1)),
    Slip("block does not start anew",
         "With one blank your clocks are right. With more, block counts inside each blank.",
         _changed(1, lambda clocks, place: place + 1)),
    Slip("the clocks are swapped",
         "Row 0 is position, row 1 is block.",
         lambda length, blanks: clocks_of(length, blanks).flip(0)),
)  # fmt: skip


def check_clocks(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(length, blanks) -> Int[2 s]``, position and block of a text with blanks."""
    return judge(answer, clocks_of, LAYOUTS, CLOCKS, _tick)


def _tick(given: tuple[int, Blanks], index: tuple[int, ...], got: int, wanted: int) -> str:
    length, blanks = given
    clock = ("position", "block")[index[0]]
    where = f"of {length} tokens with the blanks {blanks}"
    return f"{where}, your {clock} of token {index[1]} is {got}; it should be {wanted}."
