"""Kinds of looking on maps made by hand, an ablation that takes away what it says, and results that are the model's.

Tried mutations, each of which fails here: the previous token is the one before that; Part B's first token looks back
into Part A; the partner is the same line, or the next couplet's; a rhyme to be written is taken for the one that stands
there; uniform attention counts hidden keys; the ablation takes the slice of the next head; a loss is read one token
late; the control may be the best head itself; ranks count from 0.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from glm_edu import Transformer, record
from glm_edu.errors import InputError, ResultsNotFoundError
from glm_edu.training import heads, results
from glm_edu.training.behaviours import (
    BEHAVIOURS,
    EOP,
    MASK,
    SOP,
    attention_mass,
    layout,
    pairs_of,
    uniform_mass,
)
from glm_edu.training.heads import (
    FORMS,
    LOSSES,
    TASKS,
    best_head,
    effect,
    heads_table,
    lay_out,
    mean_ablation,
    measure_attention,
    measure_losses,
    poem_losses,
)
from glm_edu.training.held_out import held_out
from glm_edu.training.settings import TANG_GLM
from glm_edu.training.vocabulary import tang_tokenizer

Found = set[tuple[int, int]]
D = TANG_GLM.head_dim

# 4x5, blank: the third line is cut out. Tokens 0-11 are lines 1 and 2, 12 is [MASK], 13 ， and 14-19 line 4 with 。;
# then 20 <sop>, 21-25 line 3, 26 <eop>. Rest: 0-11 lines 1 and 2, 12 [gMASK], 13 <sop>, 14-25 lines 3 and 4, 26 <eop>.
BY_HAND: dict[str, Found] = {
    "previous token, Part A": {(q, q - 1) for q in range(1, 20)},
    "previous token, Part B": {(q, q - 1) for q in range(14, 27)},
    "next token, Part A": {(q, q + 1) for q in range(19)},
    "paired line, Part A": {(i, i + 6) for i in range(5)} | {(i + 6, i) for i in range(5)},
    "paired line, Part B": {(20 + i, 14 + i) for i in range(5)},
    "rhyme, Part A": {(10, 18), (18, 10)},
    "rhyme, Part B": {(23, 10)},
    "mask token": {(q, 12) for q in range(20, 27)},
    "<sop>": {(q, 20) for q in range(21, 27)},
    "punctuation": {(q, k) for q in range(13, 27) for k in (5, 11, 19, 25) if q not in (19, 25) and k < q},
}


def _found(kind: str, form: str) -> Found:
    return {(int(q), int(k)) for q, k in pairs_of(kind, form).nonzero()}


# kinds of looking


@pytest.mark.parametrize("kind", BEHAVIOURS)
def test_pairs_of_the_smallest_form_by_hand(kind: str) -> None:
    assert _found(kind, "4x5") == BY_HAND[kind]


def test_later_rhymes_look_at_all_earlier_ones() -> None:
    """8x5, rest: lines 1 and 2 are 0-11, [gMASK] 12, <sop> 13, line 3 begins at 14; rhymes stand at 10, 24, 36, 48."""
    assert _found("rhyme, Part B", "8x5") == {(23, 10), (35, 10), (35, 24), (47, 10), (47, 24), (47, 36)}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("form", FORMS)
def test_the_layout_is_that_of_the_training_objective(form: str, task: str) -> None:
    (poem,), tokenizer = held_out(form, 1), tang_tokenizer()
    batch, where = lay_out([poem], task), layout(form, task)
    names = {MASK: "[MASK]" if task == "blank" else "[gMASK]", SOP: "<sop>", EOP: "<eop>"}
    said = [names[place] if place < 0 else poem.text[place] for place in where.place.tolist()]
    assert [tokenizer.tokens[i] for i in batch.ids[0].tolist()] == said
    assert batch.positions[0, 1].gt(0).equal(where.answer)  # the second clock runs in Part B only
    model = Transformer(TANG_GLM)
    with record(model, "mask") as seen:
        model(batch.ids)
    assert seen["mask"][0, 0].equal(where.visible)


@pytest.mark.parametrize("kind", BEHAVIOURS)
def test_a_map_that_looks_nowhere_else_has_all_the_mass_and_one_key_beside_has_little(kind: str) -> None:
    pairs = pairs_of(kind, "4x7").float()
    exact = pairs / pairs.sum(-1, keepdim=True).clamp(min=1)
    assert attention_mass(exact[None, None], pairs.bool()).item() == pytest.approx(1)
    beside = attention_mass(exact.roll(1, dims=-1)[None, None], pairs.bool()).item()
    assert beside == pytest.approx(0)


def test_mass_is_the_mean_over_queries_that_have_a_pair() -> None:
    pairs = torch.tensor([[False, False], [True, False], [True, True]]).T  # two queries, three keys
    probs = torch.tensor([[[[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]]])
    assert attention_mass(probs, pairs).item() == pytest.approx((0.8 + 0.1) / 2)


@pytest.mark.parametrize(("kind", "share"), [("previous token, Part A", 1 / 20), ("rhyme, Part B", 1 / 24)])
def test_uniform_attention_is_over_visible_keys(kind: str, share: float) -> None:
    where = layout("4x5", BEHAVIOURS[kind].task)
    assert uniform_mass(pairs_of(kind, "4x5"), where.visible) == pytest.approx(share)


def test_unknown_kinds_and_tasks_are_named() -> None:
    with pytest.raises(InputError, match=r"no kind 'nouns'.*mask token"):
        pairs_of("nouns", "4x5")
    with pytest.raises(InputError, match="'blank' or 'rest'"):
        layout("4x5", "half")


# losses and ablation


@pytest.fixture(scope="module")
def shipped() -> Transformer:
    return Transformer.from_pretrained("tang-glm")


@pytest.fixture(scope="module")
def stored() -> dict:
    return results.load("heads")


def test_each_loss_is_the_surprise_at_its_own_characters() -> None:
    """A model that is sure of one token after each token: the surprise follows from the poem alone."""
    (poem,) = held_out("4x5", 1)
    wanted = {
        "blank": ("blank", poem.lines[2]), "rest": ("rest", poem.lines[2] + poem.lines[3]),
        "rhyme": ("rest", poem.lines[3][-1]), "punctuation": ("rest", "，。"),
    }  # fmt: skip
    draw = torch.Generator().manual_seed(0)
    for task in TASKS:
        batch, where = lay_out([poem], task), layout("4x5", task)
        logits = torch.randn(1, batch.ids.shape[1], TANG_GLM.vocab_size, generator=draw)
        found = poem_losses(logits, batch, where, task)
        assert set(found) == {name for name, (of_task, _) in LOSSES.items() if of_task == task}
        ids = batch.ids[0].tolist()
        begin = int(where.answer.int().argmax())
        text = [tang_tokenizer().tokens[i] for i in ids]
        for name in found:
            characters = wanted[name][1]
            places = [
                i for i in range(begin + 1, len(ids) - 1) if (text[i] in "，。") == (name == "punctuation")
            ]  # fmt: skip
            places = places[-1:] if name == "rhyme" else places
            assert "".join(text[i] for i in places) == characters
            plain = [F.cross_entropy(logits[0, i - 1], torch.tensor(ids[i])) for i in places]
            assert found[name].item() == pytest.approx(torch.stack(plain).mean().item(), rel=1e-4)


def test_replacing_a_head_by_itself_changes_nothing_and_by_the_mean_only_its_own_slice() -> None:
    model, batch = Transformer(TANG_GLM).eval(), lay_out(held_out("4x5", 2), "blank")
    name, own = "blocks.1.attention.mixed", slice(2 * D, 3 * D)
    with record(model, [name, "logits"]) as before:
        model(batch.ids)
    with mean_ablation(model, 1, 2, before[name][..., own]), record(model, "logits") as same:
        model(batch.ids)
    assert same["logits"].equal(before["logits"])
    mean = before[name].mean((0, 1))[own]
    with mean_ablation(model, 1, 2, mean), record(model, [name, "logits"]) as after:
        model(batch.ids)
    assert after[name][..., own].equal(mean.expand(2, batch.ids.shape[1], -1))
    others = torch.ones(TANG_GLM.num_heads * D, dtype=torch.bool)
    others[own] = False
    assert after[name][..., others].equal(before[name][..., others])
    assert not after["logits"].equal(before["logits"])


@pytest.mark.parametrize(("layer", "head"), [(4, 0), (0, 4), (-1, 0)])
def test_a_head_that_is_not_there_is_named(layer: int, head: int) -> None:
    with pytest.raises(InputError, match="layers run from 0 to 3"):
        mean_ablation(Transformer(TANG_GLM), layer, head, torch.zeros(D))


def test_effect_by_hand() -> None:
    """Four heads, changes 1, 5, 2, 3. Best is the one of 3: rank 2; of the others 1, 2, 5 the median is 2."""
    change = torch.tensor([[[1.0, 5.0], [2.0, 3.0]]]).expand(10, 2, 2)
    found = effect(change, layer=1, head=1)
    assert (found["change"], found["rank"]) == (3.0, 2)
    assert (found["control"], found["control change"]) == ([1, 0], 2.0)
    assert found["change interval"] == pytest.approx((3.0, 3.0))


def test_means_are_over_all_tokens_and_poems() -> None:
    model = Transformer(TANG_GLM).eval()
    batches = {(form, "rest"): lay_out(held_out(form, n), "rest") for form, n in (("4x5", 1), ("4x7", 2))}
    batches |= {("4x5", "blank"): lay_out(held_out("4x5", 1), "blank")}
    masses, means = measure_attention(model, batches)
    vectors = []
    for batch in batches.values():
        with record(model, "blocks.3.attention.mixed") as seen:
            model(batch.ids)
        vectors.append(seen["blocks.3.attention.mixed"].flatten(0, 1))
    assert torch.allclose(means[3], torch.cat(vectors).mean(0), atol=1e-6)
    assert {kind: mass.shape for kind, mass in masses.items()} == {
        kind: (1 if behaviour.task == "blank" else 3, TANG_GLM.num_layers, TANG_GLM.num_heads)
        for kind, behaviour in BEHAVIOURS.items()
    }


# what is stored


def test_the_best_head_is_the_stored_one_and_has_the_most_mass(stored: dict) -> None:
    for kind, found in stored["kinds"].items():
        layer, head = best_head(kind)
        assert found["masses"][layer][head] == max(max(row) for row in found["masses"]) == found["mass"]
        assert found["lift"] == pytest.approx(found["mass"] / found["uniform"], rel=0.01)
        assert found["change"] == stored["changes"][found["loss"]][layer][head]
        assert found["control"] != found["best"]
    with pytest.raises(InputError, match=r"no kind 'nouns'.*mask token"):
        best_head("nouns")


def test_without_stored_results_the_message_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(ResultsNotFoundError, match="no stored results 'heads'"):
        best_head("mask token")


def test_the_shipped_model_has_the_stored_attention_and_the_stored_effect(shipped: Transformer, stored: dict) -> None:
    """All masses, and the change of each loss for one head; 0.005: another processor sums in another order."""
    batches = heads.held_out_batches(stored["settings"]["poems"]["4x5"])
    masses, means = measure_attention(shipped, batches)
    for kind, found in stored["kinds"].items():
        assert torch.allclose(masses[kind].mean(0), torch.tensor(found["masses"]), atol=0.005), kind
    layer, head = best_head("previous token, Part B")
    whole = measure_losses(shipped, batches)
    with mean_ablation(shipped, layer, head, means[layer, head * D : (head + 1) * D]):
        ablated = measure_losses(shipped, batches)
    for name in LOSSES:
        assert whole[name].mean().item() == pytest.approx(stored["losses"][name], abs=0.005)
        change = (ablated[name] - whole[name]).mean().item()
        assert change == pytest.approx(stored["changes"][name][layer][head], abs=0.005)


def test_the_heads_command_prints_and_stores(
    stored: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(heads, "measure_heads", lambda model: stored)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert heads.main([]) == 0 and not list(tmp_path.iterdir())
    assert heads.main(["--write"]) == 0 and results.load("heads") == stored
    printed = capsys.readouterr().out
    assert printed.count(heads_table(stored)) == 2
    assert all(kind in printed for kind in BEHAVIOURS)


def test_search_and_ablation_run_on_a_network_with_random_weights() -> None:
    """Its heads look almost evenly, so no lift is far from 1."""
    found = heads.measure_heads(Transformer(TANG_GLM).eval(), most=1)
    assert set(found["kinds"]) == set(BEHAVIOURS)
    assert all(0.5 < entry["lift"] < 2 for entry in found["kinds"].values())
