"""Each planted mistake must fail the proof, at the tensor where it is made, and leave no trace once it is taken out."""

from collections import Counter

import pytest
import torch

from glm_edu.errors import InputError
from glm_edu.parity import MISTAKES, Case, Mistake, Run, compare, mistake, prove
from glm_edu.parity.ladder import Ladder, Rung, all_rungs, compare_tensors

CASES = sorted({(entry.case, entry.alone) for entry in MISTAKES})
REQUIRED = (  # what the project promised to be able to catch
    "halves swapped", "pairs for halves", "alpha on f instead of norm", "alpha from num_layers", "bos joins the prefix",
    "positions keep counting after bos", "per-head query, key, value read as blocks", "erf for tanh",
    "mask set after the layer factor is undone", "eps outside the root", "final norm skipped",
    "groups tiled instead of repeated",
)  # fmt: skip


def test_there_are_enough_mistakes_and_each_has_its_own_name() -> None:
    names = [entry.name for entry in MISTAKES]
    assert len(names) >= 20
    assert max(Counter(names).values()) == 1
    assert set(REQUIRED) <= set(names)


@pytest.mark.parametrize("entry", MISTAKES, ids=lambda entry: entry.name)
def test_mistake_is_caught_where_it_is_made(entry: Mistake) -> None:
    with mistake(entry.name):
        ladder = prove(entry.case, entry.alone)
    assert not ladder.ok
    assert ladder.first_divergent == entry.first_wrong, f"\n{ladder}"


@pytest.mark.parametrize(("case", "alone"), CASES)
def test_parity_holds_again_without_the_mistakes(case: str, alone: bool) -> None:
    """Runs after the mistakes above, and by itself: what they exchanged is back in place."""
    for entry in MISTAKES:
        if (entry.case, entry.alone) == (case, alone):
            with entry.applied():
                pass
    ladder = prove(case, alone)
    assert ladder.ok, f"\n{ladder}"


def test_a_mistake_is_taken_out_even_when_the_block_fails() -> None:
    with pytest.raises(RuntimeError, match="on purpose"), mistake("alpha from num_layers"):
        raise RuntimeError("on purpose")
    assert prove("chatglm1_gmask").ok


def test_an_unknown_mistake_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no mistake 'typo'.*halves swapped"):
        mistake("typo")


def _rung(tensor: str, excess: float) -> Rung:
    return Rung("case", "step0", tensor, (1,), excess, excess, 0.5, 0.0)


def test_the_first_divergent_tensor_is_the_first_in_forward_order_and_not_the_worst() -> None:
    ladder = Ladder((_rung("embedding", 0.1), _rung("blocks.0.middle", 0.6), _rung("logits", 9.0)))
    assert not ladder.ok
    assert ladder.first_divergent == "blocks.0.middle"
    assert ladder.worst.tensor == "logits"
    said = str(ladder)
    assert said.index("first divergent tensor: blocks.0.middle (2 of 3 differ)") < said.index("logits")
    assert "DIFFERS case/step0" in said and "embedding" not in said


def test_a_ladder_without_a_difference_says_so() -> None:
    ladder = all_rungs([Ladder((_rung("embedding", 0.1),)), Ladder((_rung("logits", 0.2),))])
    assert ladder.ok and ladder.first_divergent is None
    assert str(ladder).startswith("equal: 2 tensors, worst equal")
    assert ladder.worst.used == pytest.approx(0.4)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_nan_and_infinity_are_no_parity(wrong: float) -> None:
    ours, theirs = torch.tensor([1.0, wrong]), torch.tensor([1.0, 2.0])
    assert not compare_tensors("case", "", "logits", ours, theirs, 1e3, 0.0).ok


def test_another_shape_is_no_parity_even_where_it_would_broadcast() -> None:
    rung = compare_tensors("case", "", "mask", torch.ones(1, 3), torch.ones(2, 3), 1.0, 1.0)
    assert not rung.ok and rung.used == float("inf")


def test_an_exact_tolerance_is_used_up_by_nothing_or_by_anything() -> None:
    same = compare_tensors("case", "", "mask", torch.ones(2), torch.ones(2), 0.0, 0.0)
    other = compare_tensors("case", "", "mask", torch.ones(2), torch.zeros(2), 0.0, 0.0)
    assert (same.ok, same.used) == (True, 0.0)
    assert (other.ok, other.used) == (False, float("inf"))


def test_the_relative_part_of_a_tolerance_counts() -> None:
    ours, theirs = torch.tensor([100.0 + 2e-3]), torch.tensor([100.0])
    assert not compare_tensors("case", "", "logits", ours, theirs, 1e-3, 0.0).ok
    assert compare_tensors("case", "", "logits", ours, theirs, 1e-3, 2e-5).ok


def _batch() -> tuple[Case, Run]:
    case = Case("chatglm2_batch")
    return case, next(run for run in case.runs if "attention_mask" in run.inputs)


def test_rows_of_padding_are_not_compared_and_kept_rows_are() -> None:
    case, run = _batch()
    keep = run.inputs["attention_mask"].bool()
    for row, must_hold in ((~keep, True), (keep, False)):
        spoiled = run.outputs["logits"].clone()
        spoiled[row] += 1.0
        assert all(rung.ok for rung in compare(case, run, {"logits": spoiled})) == must_hold


def test_heads_and_caches_are_compared_on_the_right_axis() -> None:
    case, run = _batch()
    keep = run.inputs["attention_mask"].bool()
    probs, key = "blocks.0.attention.probs", "blocks.0.attention.key"
    for name, stored in ((probs, probs), (key, "cache.0.key")):
        spoiled = run.outputs[stored].clone()
        spoiled.transpose(1, 2)[~keep] += 1.0
        assert all(rung.ok for rung in compare(case, run, {name: spoiled}))
        spoiled.transpose(1, 2)[keep] += 1.0
        assert not any(rung.ok for rung in compare(case, run, {name: spoiled}))
