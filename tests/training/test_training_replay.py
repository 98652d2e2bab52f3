"""What is stored of the live run is what the live run does: the first steps are run again and give the same maps."""

import sys
from dataclasses import replace

import pytest
import torch

from glm_edu.errors import CheckpointNotFoundError
from glm_edu.model.transformer import Transformer
from glm_edu.training import loop, results
from glm_edu.training import replay as replay_module
from glm_edu.training import variants as variants_module
from glm_edu.training.batches import Batches
from glm_edu.training.loop import initialize, make_optimizer, train_step
from glm_edu.training.poems import poems
from glm_edu.training.replay import BLANK, POEM, example, look, looks, replay, tokens
from glm_edu.training.settings import training_config
from glm_edu.training.shades import pack, unpack
from glm_edu.training.variants import label_everything, variants
from glm_edu.training.vocabulary import tang_tokenizer

CONFIG = training_config("live")
STORED = results.load("live_replay")
AGAIN = 20  # steps: up to the first stored checkpoint


@pytest.fixture(scope="module")
def run():
    """The network after 0 and 20 steps, and the losses on the way, on this machine."""
    torch.manual_seed(CONFIG.seed)
    model = initialize(Transformer(CONFIG.model))
    start = look(model, 0)
    optimizer = make_optimizer(model.train(), CONFIG)
    batches = Batches(poems("train"), tang_tokenizer(), CONFIG.batch_tokens, CONFIG.blank_share, CONFIG.seed)
    losses = [train_step(model, optimizer, batches[step], CONFIG, step)["loss"] for step in range(AGAIN)]
    return start, look(model, AGAIN), losses


@pytest.mark.parametrize("index", [0, 1])
def test_the_first_steps_give_the_stored_maps(run, index):
    """Another seed, initialization, batch or learning rate moves weights by a tenth and more; rounding by far less."""
    seen, queries = run[index], len(STORED["tokens"])
    assert seen.step == STORED["steps"][index] == index * AGAIN
    stored = unpack(STORED["maps"][index], queries)
    assert (seen.probs - stored).abs().max() < 0.016 + 0.01  # a letter's width, and what rounding adds in 20 steps
    assert seen.right == pytest.approx(STORED["right"][index], rel=0.05)
    assert seen.marks == pytest.approx(STORED["marks"][index], rel=0.05)


def test_the_first_steps_give_the_stored_losses(run):
    assert run[2] == pytest.approx(STORED["loss"][:AGAIN], abs=0.01)


def test_all_that_is_stored_has_one_entry_a_checkpoint():
    steps = list(range(0, CONFIG.steps + 1, CONFIG.checkpoint_every))
    assert STORED["steps"] == steps
    assert {len(STORED[name]) for name in ("maps", "expected", "right", "marks", "blank")} == {len(steps)}
    assert len(STORED["loss"]) == CONFIG.steps
    heads, places = CONFIG.model.num_layers * CONFIG.model.num_heads, BLANK[1] + 1
    assert all(len(maps) == heads for maps in STORED["maps"])
    assert all(len(right) == places for right in STORED["right"])
    assert (results.RESULTS / "live_replay.json").stat().st_size < 200_000


def test_the_poem_was_never_trained_on_and_the_answer_stands_behind_it():
    assert POEM in {poem.text for poem in poems("test")}
    assert "".join(tokens()) == POEM[:12] + "[gMASK]<sop>" + POEM[12:]
    assert tang_tokenizer().decode(example().ids.tolist()) == POEM


def test_a_row_of_a_map_sums_to_one_and_obeys_the_mask(run):
    probs = run[1].probs
    assert torch.allclose(probs.sum(-1), torch.ones(()), atol=1e-5)
    hidden = ~example().mask[:-1, :-1]
    assert probs[:, hidden].max() < 1e-6 and hidden.any()


def test_what_is_expected_is_sorted_and_holds_the_right_probability(run):
    for expected, right in zip(run[1].expected, run[1].right, strict=True):
        chances = [chance for _, chance in expected]
        assert chances == sorted(chances, reverse=True) and right <= chances[0] + 5e-4


def test_looks_are_taken_from_the_weights_that_a_run_kept(tmp_path):
    torch.manual_seed(5)
    model = Transformer(CONFIG.model)
    torch.save(model.state_dict(), tmp_path / "weights-000007.pt")
    (tmp_path / "log.csv").write_text("loss,step,validation_mask,validation_gmask\n8.1234,7,5.5,6.5\n")
    first, last = looks(CONFIG, tmp_path)
    assert (first.step, last.step) == (0, 7)
    assert torch.equal(last.probs, look(model, 7).probs) and not torch.equal(last.probs, first.probs)
    data = replay(CONFIG, tmp_path)
    assert data["maps"][1] == pack(last.probs) and data["loss"] == [8.123] and data["validation"] == {"7": [5.5, 6.5]}


def test_a_run_that_kept_no_checkpoint_is_told(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match="keep_checkpoints=True"):
        next(looks(CONFIG, tmp_path))


def test_each_variant_changes_one_thing():
    named = variants(CONFIG)
    assert [name for name, variant in named.items() if variant.config != CONFIG] == ["no warm-up"]
    model = Transformer(CONFIG.model)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    after = named["own weights"].start(model).state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    batch = Batches(poems("train")[:40], tang_tokenizer(), 512, 0.6, 0)[0]
    everywhere = label_everything(batch).labels
    assert torch.equal(everywhere == -100, batch.ids == tang_tokenizer().pad_id)
    assert torch.equal(everywhere[everywhere != -100], batch.ids[everywhere != -100])
    assert named["as it is"].change(batch) is batch


@pytest.fixture
def short(monkeypatch, tmp_path):
    """The live run with two steps, and results that go elsewhere."""
    config = replace(CONFIG, steps=2, warmup_steps=1, poems=40, batch_tokens=256, checkpoint_every=1, validate_every=2)
    for module in (replay_module, variants_module):
        monkeypatch.setattr(module, "training_config", lambda name: config)
    monkeypatch.setattr(loop, "VALIDATION_POEMS", 4)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["command"])
    return config


def test_the_command_trains_and_stores_what_it_saw(short, capsys):
    assert replay_module.main() == 0
    stored = results.load("live_replay")
    assert stored["steps"] == [0, 1, 2] and len(stored["loss"]) == 2 and [*stored["validation"]] == ["2"]
    assert "live_replay.json" in capsys.readouterr().out


def test_the_variants_see_the_same_batches_and_are_measured_alike(short):
    assert variants_module.main() == 0
    stored = results.load("live_variants")
    assert [*stored] == [*variants(short)]
    assert all(len(run["loss"]) == 2 and len(run["validation"]["2"]) == 2 for run in stored.values())
    first = {name: run["loss"][0] for name, run in stored.items()}
    assert first["as it is"] == first["no warm-up"]  # the schedule has not acted yet
    assert len({first[name] for name in ("as it is", "own weights", "labels everywhere")}) == 3
    assert stored["as it is"]["validation"] != stored["no warm-up"]["validation"]
