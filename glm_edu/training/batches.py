"""Which poems a training step sees, and where they are blanked: decided by the seed and the step's number alone.

So a run that was cut can go on at any step and meet the same batches.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glm_edu.errors import InputError
from glm_edu.loss import IGNORED_LABEL
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.corrupt import Example, corrupt
from glm_edu.training.poems import Poem

MOST_BLANKS = 6
LENGTHS, LENGTH_WEIGHTS = (1, 2, 3, 4, None), (3, 3, 1, 1, 3)  # None: a whole line


class Batch(NamedTuple):
    """Corrupted poems, padded on the right."""

    ids: Int[Tensor, "b s"]
    positions: Int[Tensor, "b 2 s"]
    labels: Int[Tensor, "b s"]


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad to one length. Padding stands behind everything, so no token sees it, and it has no label."""
    ids = pad_sequence([example.ids for example in examples], batch_first=True, padding_value=pad_id)
    labels = pad_sequence([example.labels for example in examples], batch_first=True, padding_value=IGNORED_LABEL)
    positions = pad_sequence([example.positions.T for example in examples], batch_first=True)  # b s 2
    return Batch(ids, positions.transpose(1, 2), labels)


def line_spans(poem: Poem) -> list[tuple[int, int]]:
    """(start, length) of each line in the poem's text, without its punctuation."""
    width = len(poem.lines[0])
    return [(start, width) for start in range(0, len(poem.text), width + 1)]


def draw_blanks(poem: Poem, draw: random.Random) -> list[tuple[int, int]]:
    """One to six [MASK] blanks of one to four characters or a whole line, each within a line, left to right."""
    count = 1 if draw.random() < 0.3 else draw.randint(2, MOST_BLANKS)
    lines = line_spans(poem)
    blanks = []
    for start, width in sorted(draw.sample(lines, min(count, len(lines)))):
        length = draw.choices(LENGTHS, LENGTH_WEIGHTS)[0] or width
        blanks.append((start + draw.randint(0, width - length), length))
    return blanks


def draw_rest(poem: Poem, draw: random.Random) -> tuple[int, int]:
    """The [gMASK] blank: the rest of the poem, from the start of a line as often as from anywhere."""
    starts = [start for start, _ in line_spans(poem)]
    start = draw.choice(starts) if draw.random() < 0.5 else draw.randrange(len(poem.text))
    return start, len(poem.text) - start


def draw_example(poem: Poem, tokenizer: CharacterTokenizer, draw: random.Random, blank_share: float) -> Example:
    """The poem with [MASK] blanks, or (with probability 1 - ``blank_share``) with its rest behind [gMASK]."""
    ids = tokenizer.encode(poem.text, add_special_tokens=False, allow_unknown=True)
    if draw.random() < blank_share:
        return corrupt(ids, draw_blanks(poem, draw), tokenizer)
    return corrupt(ids, [draw_rest(poem, draw)], tokenizer, "[gMASK]")


MakeExample = Callable[[Poem, CharacterTokenizer, random.Random, float], Example]


class Batches:
    """The batch of any step, ``batches[step]``, without end. An epoch shuffles the poems within their form, and then
    the batches.

    Args:
        poems: what to learn from.
        tokenizer: gives the ids; characters that it does not have become <unk>.
        batch_tokens: a batch holds as many poems of one form as fit into so many characters, and at least one.
        blank_share: probability of [MASK] blanks; else [gMASK].
        seed: decides, with the number of the step, about everything that is drawn.
        example: makes an example of a poem; another one than ``draw_example`` is another task.

    Raises:
        InputError: no poems.
    """

    def __init__(
        self, poems: Sequence[Poem], tokenizer: CharacterTokenizer, batch_tokens: int, blank_share: float, seed: int,
        example: MakeExample = draw_example,
    ) -> None:  # fmt: skip
        if not poems:
            raise InputError("Batches needs at least one poem.")
        self.tokenizer, self.batch_tokens, self.blank_share, self.seed = tokenizer, batch_tokens, blank_share, seed
        self.example = example
        self.forms: dict[str, list[Poem]] = defaultdict(list)
        for poem in poems:
            self.forms[poem.form].append(poem)
        self._epoch_now = (0, self._epoch(0))
        self.steps_per_epoch = len(self._epoch_now[1])

    def _epoch(self, number: int) -> list[list[Poem]]:
        draw, batches = random.Random(f"{self.seed} epoch {number}"), []
        for form in sorted(self.forms):
            poems = draw.sample(self.forms[form], len(self.forms[form]))
            size = max(1, self.batch_tokens // len(poems[0].text))
            batches += [poems[i : i + size] for i in range(0, len(poems), size)]
        draw.shuffle(batches)
        return batches

    def __getitem__(self, step: int) -> Batch:
        epoch, number = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch_now[0]:
            self._epoch_now = (epoch, self._epoch(epoch))
        draw = random.Random(f"{self.seed} step {step}")
        poems = self._epoch_now[1][number]
        examples = [self.example(poem, self.tokenizer, draw, self.blank_share) for poem in poems]
        return collate(examples, self.tokenizer.pad_id)
