"""What the exercises of every chapter are tried with: stubs, a verdict of one kind, mistakes that are told apart."""

from collections.abc import Sequence

from glm_edu.exercises import Slip, Try, Verdict


def raises(*_: object) -> None:
    raise NotImplementedError


def returns_nothing(*_: object) -> None:
    pass


def returns_dots(*_: object) -> object:
    return ...


STUBS = (raises, returns_nothing, returns_dots)


def assert_kind(verdict: Verdict, kind: str) -> None:
    """A verdict of that kind; only "right" passes."""
    assert (verdict.ok, verdict.kind) == (kind == "right", kind), verdict


def assert_told_apart(slips: Sequence[Slip], tries: Sequence[Try]) -> None:
    """No two known mistakes look alike on the inputs, and each has a kind of its own."""
    seen = [[slip.wrong(*given).tolist() for given in tries] for slip in slips]
    assert all(a != b for i, a in enumerate(seen) for b in seen[:i])
    assert len({slip.kind for slip in slips}) == len(slips)
