"""P-tuning: only the prefix learns, the task is the one that is said, and what is stored is what the run does."""

import random
from dataclasses import replace

import pytest
import torch
from tiny import tiny

from glm_edu import ModelConfig, Transformer
from glm_edu.checkpoints import load_prefix, save_prefix
from glm_edu.errors import CheckpointError, ConfigError, InputError
from glm_edu.model.prefix import PrefixEncoder
from glm_edu.training import p_tuning, results
from glm_edu.training import p_tuning_study as study
from glm_edu.training.batches import Batches, draw_example
from glm_edu.training.held_out import held_out
from glm_edu.training.p_tuning import (
    P_TUNING,
    RATES,
    answers,
    attach_prefix,
    draw_answer,
    fingerprint,
    finishes_poem,
    freeze_behind_prefix,
    is_one_line,
    mean_loss,
    prefix_mass,
    tune,
)
from glm_edu.training.poems import poems
from glm_edu.training.shades import unpack
from glm_edu.training.vocabulary import tang_tokenizer

STORED = results.load("p_tuning")
TOK = tang_tokenizer()
AGAIN = 5  # steps: up to the second stored one


class Enough(Exception):
    """The steps that are compared have been seen."""


@pytest.fixture(scope="module")
def run():
    """The first steps of the chapter's run on this machine, with what was there before."""
    model = Transformer.from_pretrained("tang-glm")
    ids = study.example_ids()
    with torch.no_grad():
        before, mark = model(ids), fingerprint(model)
    seen = {}

    def watch(step):
        if step in (0, AGAIN):
            seen[step] = prefix_mass(model, ids)[0]
        if step == AGAIN:
            raise Enough

    with pytest.raises(Enough):
        tune(model, P_TUNING, study.ANSWERING.batches("train"), watch)
    return model, ids, before, mark, seen


def test_the_first_steps_give_the_stored_maps(run):
    """Another seed, start, batch or learning rate moves weights by far more than rounding."""
    for index, step in enumerate((0, AGAIN)):
        stored = unpack(STORED["film"]["without"]["maps"][index], run[1].shape[1])
        assert (run[4][step] - stored).abs().max() < 0.03
    assert STORED["film"]["without"]["steps"][:2] == [0, AGAIN]


def test_only_the_prefix_learns_and_without_it_the_network_is_as_it_was(run):
    model, ids, before, mark, _ = run
    assert fingerprint(model) == mark
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad} == {"prefix"}
    with torch.no_grad():
        assert not torch.equal(model(ids), before)
        prefix = attach_prefix(model, None)
        assert model.config == Transformer.from_pretrained("tang-glm").config
        assert torch.equal(model(ids), before)
        attach_prefix(model, prefix)
    assert model.config.prefix_length == P_TUNING.model.prefix_length


def test_the_fingerprint_sees_a_bit_and_not_the_prefix():
    model = tiny("tiny-chatglm", prefix_length=2)
    mark = fingerprint(model)
    model.prefix.embedding.weight.data += 1
    assert fingerprint(model) == mark
    model.final_norm.bias.data[0] = torch.nextafter(model.final_norm.bias.data[0], torch.tensor(9.0))
    assert fingerprint(model) != mark


def test_a_prefix_of_no_length_is_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        freeze_behind_prefix(tiny("tiny-chatglm"), ModelConfig.preset("tiny-chatglm"))


@pytest.mark.parametrize("projection", [False, True])
@pytest.mark.parametrize("name", ["prefix.safetensors", "pytorch_model.bin"])
def test_a_prefix_that_was_saved_alone_comes_back_to_the_bit(projection, name, tmp_path):
    whole = tiny("tiny-chatglm2", prefix_length=3, prefix_projection=projection)
    file = save_prefix(whole, tmp_path / "made" / name)
    bare, ids = tiny("tiny-chatglm2"), torch.arange(10, 16)[None]
    assert attach_prefix(bare, whole.prefix) is None and bare.config == whole.config
    attach_prefix(bare, None)
    load_prefix(bare, file)
    assert bare.config == whole.config and bare.prefix is not whole.prefix
    assert [p.name for p in file.parent.iterdir()] == [name]
    with torch.no_grad():
        assert torch.equal(bare(ids), whole(ids))


def test_what_cannot_be_saved_is_said(tmp_path):
    with pytest.raises(CheckpointError, match="no prefix to save"):
        save_prefix(tiny("tiny-chatglm"), tmp_path / "prefix.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="could not be written"):
        save_prefix(tiny("tiny-chatglm", prefix_length=1), tmp_path / "file" / "prefix.bin")


def test_a_float32_prefix_stands_before_a_half_network_and_is_saved_as_it_is(tmp_path):
    model = tiny("tiny-chatglm").bfloat16()
    attach_prefix(model, PrefixEncoder(replace(model.config, prefix_length=2)))
    with torch.no_grad():
        assert model(torch.tensor([[10, 501, 504]])).dtype == torch.bfloat16
    other = tiny("tiny-chatglm")
    load_prefix(other, save_prefix(model, tmp_path / "prefix.safetensors"))
    assert torch.equal(other.prefix.embedding.weight, model.prefix.embedding.weight)


def test_an_answer_is_the_second_line_of_a_couplet_and_its_end():
    poem = next(poem for poem in poems("test") if poem.form == "8x7")
    texts = [f"{a}，{b}。" for a, b in zip(poem.lines[::2], poem.lines[1::2], strict=True)]
    drawn = set()
    for seed in range(40):
        example = draw_answer(poem, TOK, random.Random(seed))
        text = TOK.decode(example.ids.tolist())
        drawn.add(text)
        assert (example.labels != -100).sum() == 9 and example.labels[-1] == TOK.eop_id
    assert len(drawn) == len(texts) == 4
    batch = Batches([poem], TOK, 64, 0.0, 0, draw_answer)[0]
    assert batch.ids.shape == (1, 8 + 2 + 9)


@pytest.mark.parametrize("answer, one, whole", [
    ("黄河入海流。<eop>", True, False), ("黄河入海流，<eop>", False, False), ("黄河入海。<eop>", False, False),
    ("黄河入海流。", False, False), ("黄河，海流。<eop>", False, False), ("<eop>", False, False),
    ("黄河入海流。欲穷千里目，更上一层楼。<eop>", False, True),
])  # fmt: skip
def test_what_counts_as_an_answer(answer, one, whole):
    assert (is_one_line("白日依山尽，", answer), finishes_poem("白日依山尽，", answer)) == (one, whole)


def test_answers_never_hold_unknown_characters_and_end():
    model = Transformer.from_pretrained("tang-glm")
    given = "白日依山尽，"
    (text,) = answers(model, TOK, [given])
    assert finishes_poem(given, text)
    written = answers(model, TOK, [f"{poem.lines[0]}，" for poem in held_out("4x5", 20)])
    assert not [text for text in written if "<unk>" in text or not text.endswith("<eop>")]
    with pytest.raises(InputError, match="one length"):
        answers(model, TOK, ["白日，", "白，"])


def test_the_loss_is_a_mean_over_labels():
    model = Transformer.from_pretrained("tang-glm")
    batches = Batches(poems("test")[:30], TOK, 256, 0.0, 0, draw_answer)
    parts = [batches[0], batches[1]]
    counts = [int((b.labels != -100).sum()) for b in parts]
    losses = [mean_loss(model, [b]) for b in parts]
    assert counts[0] != counts[1]
    wanted = sum(c * x for c, x in zip(counts, losses, strict=True)) / sum(counts)
    assert mean_loss(model, parts) == pytest.approx(wanted)


def test_the_mass_is_what_the_heads_put_on_the_prefix():
    model = tiny("tiny-chatglm2", prefix_length=3)
    maps, mass = prefix_mass(model, torch.arange(10, 17)[None])
    assert maps.shape == (12, 7, 10) and mass.shape == (3, 4)
    torch.testing.assert_close(mass.flatten(), 1 - maps[:, :, 3:].sum(-1).mean(-1))


def test_mixed_examples_are_of_both_kinds():
    poem = next(poem for poem in poems("test") if poem.form == "8x7")
    lengths = {len(study.mixed(poem, TOK, random.Random(seed), 1.0).ids) for seed in range(20)}
    assert 19 in lengths and max(lengths) > 64


def test_what_is_stored_is_whole_and_says_what_the_chapter_says():
    base, lengths = STORED["base"], STORED["lengths"]
    assert [*lengths] == [*study.KINDS] and all([*of] == [str(n) for n in study.LENGTHS] for of in lengths.values())
    assert all(len(of["seeds"]) == study.SEEDS for kind in lengths.values() for of in kind.values())
    chapter = [seed for kind in lengths.values() for seed in kind[str(P_TUNING.model.prefix_length)]["seeds"]]
    assert all(base["answer"] - seed["answer"] > 0.5 for seed in chapter)
    assert all(seed["one line"] > 0.9 and seed["whole poem"] < 0.5 for seed in chapter)
    assert all(seed["rests"] - base["rests"] > 0.4 and seed["blanks"] - base["blanks"] < 0.2 for seed in chapter)
    assert base["one line"] < 0.1 and base["whole poem"] > 0.9
    mixed = STORED["mixed"]
    assert mixed["one line"] > 0.9 and mixed["whole poem"] > 0.9 and mixed["rests"] - base["rests"] < 0.05
    gains = {name: of["before"][0] - of["after"][0] for name, of in STORED["tasks"].items()}
    assert gains.pop("answer a line with a line") > 0.5 and all(abs(gain) < 0.05 for gain in gains.values())


def test_the_new_skill_comes_before_the_old_one_goes():
    film = STORED["film"]["without"]
    at = film["steps"].index(10)
    gain, loss = (1 - film["answer"][at] / film["answer"][0], film["rests"][at] / film["rests"][0] - 1)
    whole = (1 - film["answer"][-1] / film["answer"][0], film["rests"][-1] / film["rests"][0] - 1)
    assert gain / whole[0] > 0.8 and loss / whole[1] < 0.3


def test_each_kind_learns_at_its_own_rate():
    """The chapter's rates are the smallest near the lowest loss, and each is wrong for the other kind."""
    for kind, rates in STORED["rates"].items():
        lowest = min(of["answer"] for of in rates.values())
        near = [float(rate) for rate, of in rates.items() if of["answer"] <= lowest + 0.015]
        assert min(near) == RATES[study.KINDS[kind]]
    table, projected = (STORED["rates"][kind] for kind in study.KINDS)
    assert table["0.003"]["answer"] - projected["0.003"]["answer"] > 0.5
    assert projected["0.1"]["answer"] - table["0.1"]["answer"] > 0.5
    assert (results.RESULTS / "p_tuning.json").stat().st_size < 250_000


def test_parameters_are_counted_as_the_prefix_has_them():
    for name, of in STORED["lengths"].items():
        for length, found in of.items():
            config = study.run(int(length), study.KINDS[name]).model
            assert found["parameters"] == sum(p.numel() for p in PrefixEncoder(config).parameters())


def test_the_command_measures_and_shows(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(study, "P_TUNING", replace(P_TUNING, steps=2, warmup_steps=1, batch_tokens=128))
    monkeypatch.setattr(p_tuning, "LONGEST", 3)
    few = {
        "LENGTHS": (1,), "SEEDS": 1, "TRIED": (0.1,), "BATCHES": 1, "ASKED": 1, "TASKS": {"one": study.ANSWERING},
        "poems": lambda split: poems(split)[:99], "film": lambda config: {"answers": [f"{config.steps}"]},
    }  # fmt: skip
    for name, value in few.items():
        monkeypatch.setattr(study, name, value)
    assert study.main(["--write"]) == 0
    stored = results.load("p_tuning")
    assert [*stored] == [*STORED] and stored["tasks"]["one"]["poems"] == 99
    out = capsys.readouterr().out
    assert "p_tuning.json" in out and "no prefix" in out and "  1 with projection" in out


def test_the_standard_task_is_unchanged_by_the_new_argument():
    kept = Batches(poems("test")[:20], TOK, 256, 0.5, 3)[1]
    again = Batches(poems("test")[:20], TOK, 256, 0.5, 3, draw_example)[1]
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
