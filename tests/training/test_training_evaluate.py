"""The evaluation: blanks that every row shares, scores worked by hand, networks scored as one blank at a time would be,
and the shipped weights against what is stored."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glm_edu import Transformer
from glm_edu.errors import InputError, ResultsNotFoundError
from glm_edu.training import evaluate, heads, quality, results
from glm_edu.training.baselines import BASELINES, BOTH, LEFT, Baselines
from glm_edu.training.batches import line_spans
from glm_edu.training.blanks import CONTINUATION, LENGTHS, ONES, TASKS, Blank, draw_blanks, is_counted, sites_of
from glm_edu.training.bootstrap import with_interval
from glm_edu.training.evaluate import ABLATIONS, INFILLING, NETWORKS, Trial, figures, main, targets, text_table
from glm_edu.training.loop import CHECKPOINT, _fingerprint
from glm_edu.training.poems import Poem, poems
from glm_edu.training.scores import MEASURES, Scores, score, statistics
from glm_edu.training.settings import training_config
from glm_edu.training.vocabulary import CHARACTERS, tang_tokenizer

POEM = Poem("test", "王之涣", "登鹳雀楼", "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。")


@pytest.fixture(scope="module")
def trial() -> Trial:
    return Trial(every=150)


def random_network(name: str) -> Transformer:
    torch.manual_seed(1)
    return Transformer(training_config(name).model).eval()


def test_blanks_are_what_their_task_says() -> None:
    chosen = poems("test")[:200]
    for task, length in LENGTHS.items():
        for number, start, found in draw_blanks(chosen, task):
            spans = line_spans(chosen[number])
            assert found == (length or spans[0][1])
            assert any(first <= start and start + found <= first + width for first, width in spans)
    assert len(draw_blanks(chosen, "1 character")) == ONES * 200 == len(set(draw_blanks(chosen, "1 character")))
    assert draw_blanks([POEM], CONTINUATION) == [Blank(0, 12, 12)]


def test_a_poem_has_the_same_blanks_whichever_others_are_tested() -> None:
    chosen = poems("test")[:9]
    for task in TASKS:
        alone = [blank for n, poem in enumerate(chosen) for blank in draw_blanks([poem], task)]
        assert [blank[1:] for blank in alone] == [blank[1:] for blank in draw_blanks(chosen, task)]
    assert draw_blanks(chosen, "2 characters", seed=1) != draw_blanks(chosen, "2 characters")


def test_characters_count_and_punctuation_specials_and_unknown_ones_do_not() -> None:
    tokenizer = tang_tokenizer()
    assert {token for token, counted in zip(tokenizer.tokens, is_counted(tokenizer), strict=True) if not counted} == {
        "<unk>", "<pad>", "，", "。", "[MASK]", "[gMASK]", "<sop>", "<eop>"
    }  # fmt: skip


def test_sites_are_what_an_ngram_may_see() -> None:
    tokenizer = tang_tokenizer()
    text = tokenizer.encode("白日依山尽，黄河入海流。", add_special_tokens=False)
    start, end, nothing, full_stop = tokenizer.sop_id, tokenizer.eop_id, tokenizer.pad_id, tokenizer.ids["。"]
    sites = sites_of([text], [Blank(0, 1, 2), Blank(0, 9, 3)], tokenizer)
    assert sites.target.tolist() == [text[1], text[2], text[9], text[10]]  # not the full stop
    assert sites.distance.tolist() == [2, 1, 3, 2]
    assert sites.left[1].tolist() == [start, start, text[0], text[1]]  # the blank's own first character is given
    assert sites.right[0].tolist() == sites.right[1].tolist() == text[3:7]  # behind the blank, for both
    assert sites.right[2].tolist() == [end, nothing, nothing, nothing]
    assert sites.left[3].tolist() == text[6:10] and full_stop not in sites.target


def test_scores_worked_by_hand_and_ties_share_their_places() -> None:
    chances = np.array([[0.5, 0.25, 0.125, 0.125], [0.125, 0.5, 0.25, 0.125], [0.25, 0.25, 0.25, 0.25]])
    found = score(np.log(chances), np.array([0, 3, 1]))
    assert found.loss == pytest.approx(-np.log([0.5, 0.125, 0.25]))
    assert found.top1.tolist() == [1, 0, 0.25]
    assert found.top5.tolist() == [1, 1, 1]
    seven = np.log(np.array([[0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]]))  # two places are left for four that are alike
    assert score(seven, np.array([0])).top5.tolist() == [0.5]


def test_statistics_weigh_characters_and_draw_poems() -> None:
    scores = Scores(np.array([1.0, 2.0, 6.0]), np.array([1.0, 0.0, 1.0]), np.ones(3))
    drawn = torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    found = statistics(scores, np.array([0, 0, 1]), drawn)
    assert found["cross-entropy"].tolist() == [3.0, 1.5, 6.0]
    assert found["top-1"].tolist() == pytest.approx([2 / 3, 0.5, 1.0])
    value, low, high = with_interval(found["cross-entropy"])
    assert (value, low, high) == pytest.approx((3.0, 1.5 + 0.025 * 4.5, 6.0 - 0.025 * 4.5))


@pytest.mark.parametrize("name", ["tang-glm", "tang-glm2", "ablation-one-clock", "ablation-causal"])
@torch.no_grad()
def test_a_network_is_scored_as_if_each_blank_were_alone(name: str, trial: Trial) -> None:
    model, tokenizer = random_network(name), tang_tokenizer()
    found, counted = trial.network(model, name, progress=False), is_counted(tokenizer)
    for task in TASKS:
        expected = []
        for number, start, length in trial.blanks[task]:
            text = trial.texts[number]
            mask = tokenizer.gmask_id if task == CONTINUATION else tokenizer.mask_id
            prompt = [*text[:start], mask, *text[start + length :], tokenizer.sop_id]
            blank = text[start : start + length]
            log_probs = model(torch.tensor([prompt + blank]))[0, len(prompt) - 1 :].log_softmax(-1)
            expected += [-log_probs[i, x].item() for i, x in enumerate(blank) if counted[x]]
        assert found[task].loss == pytest.approx(expected, abs=1e-4)  # float32, summed in another order
        assert len(expected) == len(trial.sites[task].target)


def test_figures_put_the_better_row_ahead_with_intervals_of_the_difference(trial: Trial) -> None:
    n = {task: len(trial.sites[task].poem) for task in TASKS}
    draw = np.random.default_rng(0)
    worse = {task: Scores(draw.random(n[task]), np.zeros(n[task]), np.zeros(n[task])) for task in TASKS}
    better = {task: Scores(of.loss - 0.5, of.top1 + 0.25, of.top5) for task, of in worse.items()}
    found = figures(trial, {"ours": better, "theirs": worse}, compared="ours")
    for task in (*TASKS, INFILLING):
        assert found["ahead"]["theirs"][task]["cross-entropy"] == pytest.approx([0.5] * 3)
        assert found["ahead"]["theirs"][task]["top-1"] == pytest.approx([0.25] * 3)
    rows = found["rows"]["theirs"]
    assert rows[INFILLING]["cross-entropy"][0] == pytest.approx(
        np.mean([rows[task]["cross-entropy"][0] for task in LENGTHS])
    )
    assert rows["a line"]["cross-entropy"][1] < rows["a line"]["cross-entropy"][0] < rows["a line"]["cross-entropy"][2]
    assert list(found["ahead"]) == ["theirs"]


def made_up(ours: float, top1: float) -> dict[str, Any]:
    """Results in which every n-gram stands at 5 nats and 10 %."""
    row = {task: {"cross-entropy": [5.0, 4.9, 5.1], "top-1": [0.1, 0.09, 0.11], "top-5": [0.2, 0.1, 0.3]}
           for task in (*TASKS, INFILLING)}  # fmt: skip
    rows: dict[str, Any] = {name: copy.deepcopy(row) for name in (*BASELINES, *NETWORKS)}
    rows["uniform"]["1 character"]["cross-entropy"][0] = 4.5  # whichever row is best is the one to beat
    for of in rows[NETWORKS[0]].values():
        of["cross-entropy"][0], of["top-1"][0] = ours, top1
    better = rows[NETWORKS[0]]
    ahead = {
        name: {task: {"cross-entropy": [of[task]["cross-entropy"][0] - ours, -1.0, 1.0],
                      "top-1": [top1 - of[task]["top-1"][0], -1.0, 1.0]} for task in better}
        for name, of in rows.items() if name != NETWORKS[0]
    }  # fmt: skip
    return {"poems": 3, "rows": rows, "ahead": ahead}


def test_targets_are_met_against_the_best_row_only() -> None:
    found = {what: met for met, what, _ in targets(made_up(ours=4.55, top1=0.11))}
    assert not found["1 character: cross-entropy 0.4 nats below every n-gram"]
    assert found["2 characters: cross-entropy 0.4 nats below every n-gram"]
    assert found["a line: top-1 above every n-gram"]
    assert not any(met for met, *_ in targets(made_up(ours=4.65, top1=0.1)))


def test_the_command_prints_every_row_and_stores_only_the_whole_split(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(evaluate, "evaluate", lambda every: made_up(4.5, 0.2))
    others: list[list[str]] = []
    for part in (quality, heads):
        monkeypatch.setattr(part, "main", lambda arguments: others.append(arguments) or 0)
    assert main([]) == 0 and others == [[], []]
    out = capsys.readouterr().out
    assert all(name in out for name in (*BASELINES, *NETWORKS)) and "not met 1 character" in out
    assert not list(tmp_path.iterdir())
    assert main(["--write"]) == 0 and others[2:] == [["--write"], ["--write"]]
    assert results.load("evaluation") == made_up(4.5, 0.2)
    with pytest.raises(SystemExit):
        main(["--write", "--every", "8"])
    assert "--write stores the whole test split" in capsys.readouterr().err
    with pytest.raises(InputError, match="at least 1"):
        Trial(0)


def test_the_ablation_compares_the_runs_with_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ABLATIONS:
        run = tmp_path / f"ablation-{name}"
        run.mkdir()
        state = {"model": random_network(run.name).state_dict(), "run": _fingerprint(training_config(run.name))}
        torch.save(state, run / CHECKPOINT)
    found = evaluate.ablation(tmp_path, every=150, progress=False)
    assert found["steps"] == training_config("ablation-reference").steps
    assert list(found["rows"]) == list(ABLATIONS) and list(found["ahead"]) == list(ABLATIONS[1:])
    assert all(found["ahead"][name]["a line"]["cross-entropy"][0] != 0 for name in ABLATIONS[1:])
    text = text_table(found)
    assert all(f"ahead of {name}" in text for name in ABLATIONS[1:])
    assert main(["--ablation", "--runs", str(tmp_path / "none")]) == 1
    assert "ablation-reference" in capsys.readouterr().err


def test_results_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(ResultsNotFoundError, match=r"'absent' \(stored: none\)"):
        results.load("absent")
    results.store("there", {"诗": [1.5]})
    assert results.load("there") == {"诗": [1.5]}
    with pytest.raises(ResultsNotFoundError, match="stored: there"):
        results.load("absent")


# What is stored, against what this machine computes. Every eighth poem; the blanks are those of the whole split.
# The stored figures are rounded to 4 digits, and float32 sums of another processor move a loss by 1e-5 or so. A rank
# changes only where two characters are that close, which moves an accuracy by one character in some hundreds.
NATS, SHARE = 1e-3, 4e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shipped_weights_reproduce_the_stored_evaluation(name: str) -> None:
    stored = results.load("evaluation")["subset"][name]
    some = Trial(evaluate.SUBSET)
    found = some.network(Transformer.from_pretrained(name), name, progress=False)
    everyone = torch.ones(1, len(some.poems))
    for task in TASKS:
        again = statistics(found[task], some.sites[task].poem, everyone)
        assert again["cross-entropy"].item() == pytest.approx(stored[task]["cross-entropy"], abs=NATS)
        for measure in MEASURES[1:]:
            assert again[measure].item() == pytest.approx(stored[task][measure], abs=SHARE)


def test_the_ngrams_reproduce_the_stored_evaluation() -> None:
    stored, some = results.load("evaluation"), Trial(evaluate.SUBSET)
    exponents = {int(distance): values for distance, values in stored["exponents"].items()}
    baselines, everyone = Baselines(exponents, progress=False), torch.ones(1, len(some.poems))
    for row, task in [("uniform", "1 character"), ("unigram", "a line"), (LEFT, "a line"), (BOTH, "2 characters")]:
        again = statistics(baselines.scores(row, some.sites[task], False), some.sites[task].poem, everyone)
        for measure in MEASURES:
            assert again[measure].item() == pytest.approx(stored["subset"][row][task][measure], abs=NATS)
    sites = some.sites["2 characters"].only(slice(0, 6))  # computed by distance, given back in the order of the sites
    alone = [baselines.scores(BOTH, sites.only(np.array([i])), False).loss[0] for i in range(6)]
    assert baselines.scores(BOTH, sites, False).loss == pytest.approx(alone)


def test_what_was_aimed_at_is_met_but_for_one_kind_of_blank() -> None:
    # Of one character both neighbours are given, and there the n-gram of both sides comes within 0.4 nats.
    missed = [what for met, what, _ in targets(results.load("evaluation")) if not met]
    assert missed == ["1 character: cross-entropy 0.4 nats below every n-gram"]


def test_the_stored_evaluation_is_of_the_whole_test_split() -> None:
    stored = results.load("evaluation")
    assert stored["poems"] == len(poems("test"))
    assert list(stored["rows"]) == [*BASELINES, *NETWORKS]
    assert stored["rows"]["uniform"]["a line"]["cross-entropy"][0] == pytest.approx(np.log(CHARACTERS), abs=1e-4)
