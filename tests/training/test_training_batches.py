"""Batches: drawn by the seed and the step alone, every poem once an epoch, padding that nobody sees.

Mutations that must fail here: an epoch that is shuffled by the global generator; the step left out of the
seed; a blank that may run over a line's end; positions that are not padded at the end; ``blank_share`` the wrong way
round; labels shifted by two.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layouts import IGNORED, rebuilt

from glm_edu import Transformer, next_token_loss
from glm_edu.errors import InputError
from glm_edu.training.batches import Batch, Batches, collate, draw_blanks, draw_rest, line_spans
from glm_edu.training.corrupt import corrupt
from glm_edu.training.loop import batch_loss
from glm_edu.training.poems import Poem, poems
from glm_edu.training.settings import TANG_GLM, TANG_GLM2
from glm_edu.training.vocabulary import tang_tokenizer

SMALL = dict(num_layers=1, hidden_size=32, num_heads=4, head_dim=8, feedforward_size=16)
SEEDS = st.integers(0, 10**6)


def _batches(count: int = 150, share: float = 0.6, seed: int = 0) -> Batches:
    """A few steps an epoch, of all four forms."""
    return Batches(poems("train")[3000 : 3000 + count], tang_tokenizer(), 1024, share, seed)


def _texts(batch: Batch) -> list[str]:
    tokenizer = tang_tokenizer()
    return [
        tokenizer.decode(rebuilt(ids[ids != tokenizer.pad_id], positions, labels, tokenizer))
        for ids, positions, labels in zip(*batch, strict=True)
    ]


def _same(first: Batch, second: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# which batch


def test_a_step_has_the_same_batch_in_whatever_order_it_is_asked_for() -> None:
    forward, jumping = _batches(), _batches()
    steps = [0, 1, 2, forward.steps_per_epoch + 1, 3 * forward.steps_per_epoch]
    expected = {step: forward[step] for step in steps}
    for step in [steps[4], steps[1], steps[3], steps[0], steps[2], steps[4], steps[1]]:
        assert _same(jumping[step], expected[step])
        random.random()  # what others draw makes no difference


def test_steps_epochs_and_seeds_differ() -> None:
    batches = _batches()
    epoch = batches.steps_per_epoch
    drawn = [batches[0], batches[1], batches[epoch], _batches(seed=1)[0]]
    assert not any(_same(a, b) for n, a in enumerate(drawn) for b in drawn[:n])


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_every_poem_comes_once_an_epoch(share: float) -> None:
    batches = _batches(share=share)
    tokenizer = tang_tokenizer()
    wanted = Counter(
        tokenizer.decode(tokenizer.encode(poem.text, add_special_tokens=False, allow_unknown=True))
        for poem in poems("train")[3000:3150]
    )
    for epoch in range(2):
        first = epoch * batches.steps_per_epoch
        met = Counter(text for step in range(batches.steps_per_epoch) for text in _texts(batches[first + step]))
        assert met == wanted


def test_a_batch_is_of_one_form_and_no_larger_than_asked() -> None:
    batches = _batches()
    for step in range(batches.steps_per_epoch):
        lengths = [len(text) for text in _texts(batches[step])]
        assert len(set(lengths)) == 1 and sum(lengths) <= 1024


def test_a_batch_holds_at_least_one_poem() -> None:
    batches = Batches(poems("train")[:3], tang_tokenizer(), 1, 0.5, 0)
    assert batches.steps_per_epoch == 3 and batches[0].ids.shape[0] == 1


def test_the_share_of_blanks_is_that_of_mask_against_gmask() -> None:
    tokenizer = tang_tokenizer()
    for share in (0.0, 0.6, 1.0):
        batches = _batches(share=share)
        rows = [row for step in range(batches.steps_per_epoch) for row in batches[step].ids]
        gmask = [int((row == tokenizer.gmask_id).sum()) for row in rows]
        masks = [int((row == tokenizer.mask_id).sum()) for row in rows]
        assert all((g == 1) != (1 <= m <= 6) and g + m >= 1 for g, m in zip(gmask, masks, strict=True))
        assert abs(sum(m > 0 for m in masks) / len(rows) - share) <= 0.1  # 150 draws: a deviation of 0.04


def test_no_poems_are_refused() -> None:
    with pytest.raises(InputError, match="at least one poem"):
        Batches([], tang_tokenizer(), 1024, 0.6, 0)


# where the blanks stand

FORMS = [next(poem for poem in poems("test") if poem.form == form) for form in ("4x5", "4x7", "8x5", "8x7")]


@pytest.mark.parametrize("poem", FORMS, ids=lambda poem: poem.form)
def test_line_spans_are_the_lines(poem: Poem) -> None:
    assert [poem.text[start : start + length] for start, length in line_spans(poem)] == poem.lines


@given(seed=SEEDS, poem=st.sampled_from(FORMS))
def test_blanks_lie_within_lines_one_a_line_from_left_to_right(seed: int, poem: Poem) -> None:
    blanks = draw_blanks(poem, random.Random(seed))
    assert blanks == sorted(blanks) and 1 <= len(blanks) <= 6
    lines = [next(n for n, (start, w) in enumerate(line_spans(poem)) if start <= at and at + length <= start + w)
             for at, length in blanks]  # fmt: skip
    assert len(set(lines)) == len(lines)
    assert all(length in (1, 2, 3, 4, len(poem.lines[0])) for _at, length in blanks)


def test_blanks_are_one_as_well_as_many_and_short_as_well_as_whole_lines() -> None:
    """400 draws: the rarest count (6) has about 60, the rarest length (3 and 4) about 90 each."""
    drawn = [draw_blanks(FORMS[3], random.Random(seed)) for seed in range(400)]
    assert {len(blanks) for blanks in drawn} == {1, 2, 3, 4, 5, 6}
    assert {length for blanks in drawn for _at, length in blanks} == {1, 2, 3, 4, 7}
    assert 0.2 < sum(len(blanks) == 1 for blanks in drawn) / len(drawn) < 0.4


@given(seed=SEEDS, poem=st.sampled_from(FORMS))
def test_the_rest_ends_with_the_poem(seed: int, poem: Poem) -> None:
    start, length = draw_rest(poem, random.Random(seed))
    assert start >= 0 and length >= 1 and start + length == len(poem.text)


# padding and loss


def _padded() -> Batch:
    """A long and a short example."""
    tokenizer = tang_tokenizer()
    short, long = ([*range(20, 20 + length)] for length in (5, 12))
    return collate(
        [corrupt(long, [(1, 1), (3, 2)], tokenizer), corrupt(short, [(2, 3)], tokenizer, "[gMASK]")], tokenizer.pad_id
    )


def test_padding_has_no_label_and_stands_behind() -> None:
    batch = _padded()
    assert batch.ids.shape == batch.labels.shape and batch.positions.shape == (2, 2, batch.ids.shape[1])
    behind = batch.ids[1] == tang_tokenizer().pad_id
    assert behind.tolist() == sorted(behind.tolist()) and behind.any()
    assert (batch.labels[1][behind] == IGNORED).all()


@pytest.mark.parametrize("config", [TANG_GLM, TANG_GLM2], ids=["tang-glm", "tang-glm2"])
def test_nobody_sees_padding(config: object) -> None:
    """A row's logits are the same alone, and whatever stands in its padding; sums of other lengths round otherwise."""
    batch = _padded()
    model = Transformer(replace(config, **SMALL, num_kv_groups=4)).eval()  # type: ignore[type-var]
    clocks = (lambda positions: positions) if model.config.rotary_channels == 2 else (lambda positions: None)
    length = int((batch.ids[1] != tang_tokenizer().pad_id).sum())
    together = model(batch.ids, position_ids=clocks(batch.positions))[1, :length]
    alone = model(batch.ids[1:, :length], position_ids=clocks(batch.positions[1:, :, :length]))[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    other = batch.ids.clone()
    other[1, length:] = 77
    changed = model(other, position_ids=clocks(batch.positions))[1, :length]
    assert torch.equal(together, changed)


@pytest.mark.parametrize("config", [TANG_GLM, TANG_GLM2], ids=["two clocks", "one clock"])
def test_the_loss_is_that_of_next_token_loss(config: object) -> None:
    model = Transformer(replace(config, **SMALL, num_kv_groups=4))  # type: ignore[type-var]
    batch = _batches()[0]
    positions = batch.positions if model.config.rotary_channels == 2 else None
    expected = next_token_loss(model(batch.ids, position_ids=positions), batch.labels)
    torch.testing.assert_close(batch_loss(model, batch), expected, atol=1e-5, rtol=0)
