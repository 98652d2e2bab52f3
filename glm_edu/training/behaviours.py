"""What a head could be doing: kinds of looking, each a set of (query, key) pairs, and the attention on them.

A poem is laid out in one of two ways. ``blank``: the first line of its second half is cut out and written behind
[MASK]. ``rest``: all that follows the first couplet is written behind [gMASK]. All poems of a form have the same
layout, so a kind of looking is one table of pairs for the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.model.masks import prefix_mask

MASK, SOP, EOP = -1, -2, -3  # places of tokens that stand in no poem
Pairs = Bool[Tensor, "q k"]


@dataclass(frozen=True)
class Layout:
    """Where each token of a blanked poem stands in the poem.

    Attributes:
        width: characters a line.
        blank: (start, length) of the blank, counted in the poem's text.
        place: [s] index in the poem's text, or MASK, SOP, EOP.
        answer: [s] True in Part B.
    """

    width: int
    blank: tuple[int, int]
    place: Int[Tensor, " s"]
    answer: Bool[Tensor, " s"]

    @property
    def line(self) -> Int[Tensor, " s"]:
        """The line of the poem, from 0; -1 outside it."""
        return torch.where(self.place >= 0, self.place // (self.width + 1), -1)

    @property
    def column(self) -> Int[Tensor, " s"]:
        """The place in the line, from 0; ``width`` is the punctuation; -1 outside the poem."""
        return torch.where(self.place >= 0, self.place % (self.width + 1), -1)

    @property
    def character(self) -> Bool[Tensor, " s"]:
        """The characters of the poem, without its punctuation."""
        return (self.column >= 0) & ~self.punctuation

    @property
    def punctuation(self) -> Bool[Tensor, " s"]:
        """The ， and 。 of the poem."""
        return self.column == self.width

    @property
    def rhyme(self) -> Bool[Tensor, " s"]:
        """The last characters of even lines (the second, the fourth, ...), which rhyme."""
        return (self.line % 2 == 1) & (self.column == self.width - 1)

    @property
    def following(self) -> Layout:
        """The token after each, the one that it has to predict; after the last, nothing."""
        place, answer = self.place.roll(-1), self.answer.roll(-1)
        place[-1], answer[-1] = EOP, False
        return Layout(self.width, self.blank, place, answer)

    @property
    def visible(self) -> Pairs:
        """Which keys each query may see: ChatGLM-6B's mask."""
        return prefix_mask(int((~self.answer).sum()), len(self.place))


def layout(form: str, task: str) -> Layout:
    """The layout of a form (``4x5`` to ``8x7``) and a task.

    Raises:
        InputError: a task other than ``blank`` and ``rest``.
    """
    lines, width = map(int, form.split("x"))
    text = lines * (width + 1)
    if task == "blank":
        start, length = lines // 2 * (width + 1), width
    elif task == "rest":
        start, length = 2 * (width + 1), text - 2 * (width + 1)
    else:
        raise InputError(f"task={task!r} may be 'blank' or 'rest'.")
    context = [*range(start), MASK, *range(start + length, text)]
    answer = [SOP, *range(start, start + length), EOP]
    in_answer = torch.arange(len(context) + len(answer)) >= len(context)
    return Layout(width, (start, length), torch.tensor(context + answer), in_answer)


def _previous(where: Layout) -> Pairs:
    index = torch.arange(len(where.place))
    return (index[None, :] == index[:, None] - 1) & (where.answer[None, :] == where.answer[:, None])


def _next_in_context(where: Layout) -> Pairs:
    return _previous(where).T & ~where.answer[:, None]


def _partner(queries: Layout, keys: Layout) -> Pairs:
    """The same column of the other line of the couplet."""
    same_column = queries.column[:, None] == keys.column[None, :]
    return same_column & (queries.line[:, None] ^ 1 == keys.line[None, :]) & queries.character[:, None]


def _rhyme_in_context(where: Layout) -> Pairs:
    rhyme = where.rhyme & ~where.answer
    return rhyme[:, None] & rhyme[None, :] & ~torch.eye(len(rhyme), dtype=torch.bool)


def _rhyme_to_come(where: Layout) -> Pairs:
    return (where.following.rhyme & where.following.answer)[:, None] & where.rhyme[None, :]


def _token(where: Layout, place: int) -> Pairs:
    return where.answer[:, None] & (where.place[:, None] != place) & (where.place[None, :] == place)


def _punctuation(where: Layout) -> Pairs:
    return (where.answer & ~where.punctuation)[:, None] & where.punctuation[None, :]


@dataclass(frozen=True)
class Behaviour:
    """One kind of looking: in which layout, which pairs, in words, and the loss that should need it."""

    task: str
    pairs: Callable[[Layout], Pairs]
    meaning: str
    loss: str


BEHAVIOURS = {
    "previous token, Part A": Behaviour(
        "blank", lambda w: _previous(w) & ~w.answer[:, None], "a token of Part A looks at the one before it", "blank"
    ),
    "previous token, Part B": Behaviour(
        "rest", lambda w: _previous(w) & w.answer[:, None], "a token of Part B looks at the one before it", "rest"
    ),
    "next token, Part A": Behaviour("blank", _next_in_context, "a token of Part A looks at the one after it", "blank"),
    "paired line, Part A": Behaviour(
        "blank", lambda w: _partner(w, w) & ~(w.answer[:, None] | w.answer[None, :]),
        "a character of Part A looks at the same place in the other line of its couplet", "blank",
    ),
    "paired line, Part B": Behaviour(
        "blank", lambda w: _partner(w.following, w) & (w.following.answer[:, None] & ~w.answer[None, :]),
        "a character to be written in the blank looks at the same place in the other line of its couplet", "blank",
    ),
    "rhyme, Part A": Behaviour("blank", _rhyme_in_context, "a rhyme of Part A looks at the others", "rhyme"),
    "rhyme, Part B": Behaviour("rest", _rhyme_to_come, "a rhyme to be written looks at earlier ones", "rhyme"),
    "mask token": Behaviour("blank", lambda w: _token(w, MASK), "Part B looks at the [MASK] that it fills", "blank"),
    "<sop>": Behaviour("blank", lambda w: _token(w, SOP), "Part B looks at the <sop> that it begins with", "blank"),
    "punctuation": Behaviour("rest", _punctuation, "Part B looks at ， and 。 anywhere before", "punctuation"),
}  # fmt: skip


def pairs_of(kind: str, form: str) -> Pairs:
    """The pairs of one kind in one form, those that the mask lets see each other.

    Raises:
        InputError: a kind that is not searched for.
    """
    if kind not in BEHAVIOURS:
        raise InputError(f"There is no kind {kind!r}. There are: {', '.join(BEHAVIOURS)}.")
    where = layout(form, BEHAVIOURS[kind].task)
    return BEHAVIOURS[kind].pairs(where) & where.visible


def attention_mass(probs: Float[Tensor, "b n q k"], pairs: Pairs) -> Float[Tensor, "b n"]:
    """The share of its attention that a query with a pair gives to its pairs: the mean over such queries."""
    queries = pairs.any(-1)  # q
    return (probs * pairs).sum(-1)[..., queries].mean(-1)


def uniform_mass(pairs: Pairs, visible: Pairs) -> float:
    """The same share where every visible key gets as much."""
    even = visible / visible.sum(-1, keepdim=True)  # q k
    return attention_mass(even[None, None], pairs).item()
