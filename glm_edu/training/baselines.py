"""What a network is measured against: guessing, counting characters, and n-grams of one side and of both.

All of them are told that the answer is a character, no punctuation mark and not <unk>; networks have to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from tqdm import tqdm

from glm_edu.training.blanks import LENGTHS, draw_blanks, is_counted, sites_of
from glm_edu.training.both_sides import BothSides, Sites
from glm_edu.training.ngram import KneserNey
from glm_edu.training.poems import Poem, Split, poems
from glm_edu.training.scores import Scores, joined, score
from glm_edu.training.vocabulary import tang_tokenizer

CHUNK = 256  # characters at a time: 256 x 5 factors x 3,008 ids x 8 bytes = 31 MB
TUNING_SITES = 600  # of each distance; a tuning of 1,000 gave the same cross-entropy on test to 0.01 nats
LEFT, BOTH = "5-gram, left", "5-gram, both sides"
BASELINES = ("uniform", "unigram", LEFT, BOTH)


def encoded(split: list[Poem]) -> list[list[int]]:
    """The ids of poems; characters outside the vocabulary are <unk>."""
    return [tang_tokenizer().encode(poem.text, add_special_tokens=False, allow_unknown=True) for poem in split]


class Baselines:
    """Fitted on the training split; the exponents of the n-gram of both sides are tuned on the validation split.

    Args:
        exponents: as an earlier tuning found them; it takes a third of the time of an evaluation.
    """

    def __init__(self, exponents: dict[int, list[float]] | None = None, progress: bool = True) -> None:
        tokenizer, texts = tang_tokenizer(), encoded(poems("train"))
        self.answers = is_counted(tokenizer)
        counts = np.bincount(np.concatenate(texts), minlength=len(tokenizer)) * self.answers
        with np.errstate(divide="ignore"):  # the logarithm of a count of 0
            self.unigram = np.log(counts / counts.sum())
            self.uniform = np.log(self.answers / self.answers.sum())
        forward = KneserNey(texts, start_id=tokenizer.sop_id, end_id=tokenizer.eop_id, size=len(tokenizer))
        self.both = BothSides(texts, forward, self.answers, tokenizer.pad_id, exponents)
        if exponents is None:
            self._tune(progress)

    def scores(self, row: str, sites: Sites, progress: bool = True) -> Scores:
        """The scores of one of ``BASELINES``, in the order of the sites."""
        log_probs: dict[str, Callable[[Sites], Float[Array, "n v"]]] = {
            "uniform": lambda part: np.broadcast_to(self.uniform, (len(part.poem), len(self.uniform))),
            "unigram": lambda part: np.broadcast_to(self.unigram, (len(part.poem), len(self.unigram))),
            LEFT: self._left,
            BOTH: self.both.log_probs,
        }
        order, parts = [], []
        with tqdm(total=len(sites.poem), desc=row, unit="character", disable=not progress) as bar:
            for chosen in _chunks(sites):
                part = sites.only(chosen)
                order.append(chosen)
                parts.append(score(log_probs[row](part), part.target))
                bar.update(len(chosen))
        back = np.argsort(np.concatenate(order))
        return Scores(*(values[back] for values in joined(parts)))

    def numbers(self) -> dict[str, int]:
        """How many numbers each row has stored: counts of n-grams, and exponents."""
        left = self.both.forward.stored
        gapped = sum(model.stored for model in self.both.gapped.values())
        exponents = sum(map(len, self.both.exponents.values()))
        return {"uniform": 0, "unigram": int(self.answers.sum()), LEFT: left, BOTH: left + gapped + exponents}

    def _left(self, sites: Sites) -> Float[Array, "n v"]:
        with np.errstate(divide="ignore"):  # the start of a text is never predicted
            return self.both.normalized(np.log(self.both.forward.next_character(sites.left)))

    def _tune(self, progress: bool) -> None:
        split: Split = "validation"
        found = [sites_of(encoded(poems(split)), draw_blanks(poems(split), task), tang_tokenizer()) for task in LENGTHS]
        sites = Sites(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
        for distance in tqdm(np.unique(sites.distance), desc="tuning", unit="distance", disable=not progress):
            self.both.tune(sites.only(np.flatnonzero(sites.distance == distance)[:TUNING_SITES]))


def _chunks(sites: Sites) -> Iterator[Array]:
    """Which sites to compute together: some of one distance from the right edge."""
    for distance in np.unique(sites.distance):
        same = np.flatnonzero(sites.distance == distance)
        yield from (same[start : start + CHUNK] for start in range(0, len(same), CHUNK))
