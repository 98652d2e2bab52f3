"""The test poems that a measurement uses: the first of a form that Tang GLM can read."""

from __future__ import annotations

from glm_edu.errors import InputError
from glm_edu.training.poems import Poem, poems
from glm_edu.training.vocabulary import tang_tokenizer


def held_out(form: str, most: int, lines: int | None = None) -> list[Poem]:
    """The first ``most`` poems of ``form`` in the test split whose every character is in the vocabulary.

    Args:
        form: ``4x5``, ``4x7``, ``8x5`` or ``8x7``.
        lines: look only at the first so many lines for characters that are not; None: at all.

    Raises:
        InputError: a form that no test poem has.
    """
    known, every = tang_tokenizer().ids, poems("test")
    if form not in (forms := {poem.form for poem in every}):
        raise InputError(f"There is no form {form!r}. There are: {', '.join(sorted(forms))}.")
    fitting = (poem for poem in every if poem.form == form and known.keys() >= set("".join(poem.lines[:lines])))
    return [poem for poem, _ in zip(fitting, range(most), strict=False)]
