"""The n-gram baselines: worked by hand on six characters, exact on both sides by brute force, and normalized."""

from __future__ import annotations

import numpy as np
import pytest

from glm_edu.errors import InputError
from glm_edu.training.both_sides import REACH, BothSides, Sites
from glm_edu.training.ngram import KneserNey, discounts

START, END, A, B = range(4)
TEXTS = [[A, B], [A, A]]


def tiny(order: int) -> KneserNey:
    return KneserNey(TEXTS, start_id=START, end_id=END, size=4, order=order)


def probability(model: KneserNey, *gram: int) -> float:
    return float(model.probability([np.array([character]) for character in gram])[0])


def random_texts(size: int = 12, number: int = 40, seed: int = 0) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    return [(2 + draw.zipf(1.6, draw.integers(1, 9)) % (size - 3)).tolist() for _ in range(number)]


@pytest.mark.parametrize(
    "gram, value",
    [
        # Unigrams count kinds: a stands behind 2 characters (start, a), b behind 1, the end behind 2; 5 in all.
        # Too few for estimates, so 0.75 off each: 3 x 0.75 / 5 = 0.45 goes to the uniform third of a, b and the end.
        ((A,), (2 - 0.75) / 5 + 0.45 / 3),
        ((B,), (1 - 0.75) / 5 + 0.45 / 3),
        # Behind a: b, a and the end, once each; 3 x 0.75 / 3 goes to the unigrams.
        ((A, B), (1 - 0.75) / 3 + 0.75 * 0.2),
        ((A, END), (1 - 0.75) / 3 + 0.75 * 0.4),
        # At the start: a, twice.
        ((START, A), (2 - 0.75) / 2 + 0.375 * 0.4),
        # The end was never a context: all is the unigrams'.
        ((END, A), 0.4),
    ],
)
def test_bigrams_worked_by_hand(gram: tuple[int, ...], value: float) -> None:
    assert probability(tiny(2), *gram) == pytest.approx(value, abs=1e-12)


def test_an_ngram_at_the_start_keeps_its_count_where_others_count_kinds() -> None:
    # As a trigram model sees the bigrams: (start, a) was seen twice, and nothing can stand before it to be counted.
    assert probability(tiny(3), START, START, A) == pytest.approx((2 - 0.75) / 2 + 0.375 * 0.4, abs=1e-12)
    assert probability(tiny(3), START, A, B) == pytest.approx((1 - 0.75) / 2 + 0.75 * probability(tiny(3), A, B))


def test_discounts_follow_the_counts_of_counts() -> None:
    # Seen once: 4 n-grams, twice: 2, three times: 1, four times: 1. Y = 4 / (4 + 2 * 2) = 0.5.
    counts = np.array([1, 1, 1, 1, 2, 2, 3, 4, 9])
    assert discounts(counts) == pytest.approx([1 - 2 * 0.5 * 2 / 4, 2 - 3 * 0.5 * 1 / 2, 3 - 4 * 0.5 * 1 / 1])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one_behind_any_context_and_both_ways_to_ask_agree(order: int) -> None:
    model = KneserNey(random_texts(), start_id=0, end_id=1, size=12, order=order)
    contexts = np.random.default_rng(1).integers(0, 12, (300, order - 1))  # most of them never seen
    every = model.next_character(contexts)
    assert every.sum(1) == pytest.approx(1, abs=1e-12)
    assert (every[:, 1:] > 0).all() and not every[:, 0].any()  # the start comes never
    asked = model.probability([*contexts.T[:, :, None], np.arange(12)[None]])
    assert np.broadcast_to(asked, every.shape) == pytest.approx(every, abs=1e-12)


def test_a_longer_ngram_knows_more_of_the_texts_that_it_counted() -> None:
    texts = random_texts()
    surprise = []
    for order in (1, 2, 3):
        model = KneserNey(texts, start_id=0, end_id=1, size=12, order=order)
        grams = [[0] * order + text for text in texts]
        surprise.append(
            -np.mean(
                [np.log(probability(model, *g[i : i + order])) for g in grams for i in range(1, len(g) - order + 1)]
            )
        )
    assert surprise[0] > surprise[1] > surprise[2]


def test_nothing_to_count_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one text"):
        KneserNey([], start_id=0, end_id=1, size=4)


SIZE, NOTHING = 13, 12  # ids 2 to 11 are characters
ANSWERS = np.array([2 <= i < 12 for i in range(SIZE)])


def both_sides(texts: list[list[int]], exponents: dict[int, list[float]] | None = None) -> BothSides:
    return BothSides(texts, KneserNey(texts, start_id=0, end_id=1, size=SIZE), ANSWERS, NOTHING, exponents)


def site(text: list[int], place: int, distance: int = 1) -> Sites:
    around = [*[0] * REACH, *text, 1, *[NOTHING] * REACH]
    at = place + REACH
    right = around[at + distance : at + distance + REACH]
    return Sites(*(np.array([column]) for column in (0, around[at - REACH : at], right, distance, text[place])))


@pytest.mark.parametrize("place", [0, 1, 4, 6])
def test_one_character_is_predicted_as_the_whole_text_would_be(place: int) -> None:
    model, text = both_sides(random_texts(), {1: [1.0] * 5}), [3, 4, 2, 3, 3, 5, 2]
    whole = np.zeros(SIZE)  # the probability of the whole text with each character in that place, by the chain rule
    for x in range(2, 12):
        padded = [0] * 4 + text[:place] + [x] + text[place + 1 :] + [1]
        whole[x] = np.prod([probability(model.forward, *padded[i : i + 5]) for i in range(len(text) + 1)])
    assert np.exp(model.log_probs(site(text, place)))[0] == pytest.approx(whole / whole.sum(), abs=1e-12)


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_both_sides_sum_to_one_over_the_answers(distance: int) -> None:
    model = both_sides(random_texts(), {distance: [0.9, 0.7, 0.5, 0.3, 0.1]})
    found = np.exp(model.log_probs(site([3, 4, 2, 3, 3, 5, 2], 2, distance)))[0]
    assert found.sum() == pytest.approx(1) and not found[~ANSWERS].any() and (found[ANSWERS] > 0).all()


def test_a_character_behind_a_gap_is_heard_at_its_distance_and_no_other() -> None:
    # x is followed by anything, and two places on by x itself.
    draw = np.random.default_rng(2)
    texts = [[x, y, x] for x, y in draw.integers(2, 12, (400, 2)).tolist()]
    model = both_sides(texts, {2: [0, 1, 0, 0, 0], 3: [0, 1, 0, 0, 0]})
    assert np.exp(model.log_probs(site([7, 4, 7], 0, 2)))[0, 7] > 0.9
    assert np.exp(model.log_probs(site([7, 4, 4, 7], 0, 3)))[0, 7] < 0.2


def test_tuning_finds_what_the_sites_need_and_says_so_where_it_was_not_done() -> None:
    draw = np.random.default_rng(3)
    model = both_sides([[x, y, x] for x, y in draw.integers(2, 12, (400, 2)).tolist()])
    rows = [site([x, y, x], 0, 2) for x, y in draw.integers(2, 12, (60, 2)).tolist()]
    sites = Sites(*(np.concatenate(columns) for columns in zip(*rows, strict=True)))
    with pytest.raises(InputError, match="No exponents for distance 2"):
        model.log_probs(sites)
    model.exponents[2] = [1.0, 0.0, 0.0, 0.0, 0.0]
    before = model.log_probs(sites)[np.arange(60), sites.target].mean()
    model.tune(sites)
    assert model.log_probs(sites)[np.arange(60), sites.target].mean() > before + 1
