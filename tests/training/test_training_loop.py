"""The loop: a run that learns, twice the same, cut and gone on with, and clear about what it cannot use.

Tried mutations, each of which fails here: no optimizer state in the checkpoint; a resumed run starts a step too early;
the checkpoint written under its own name at once; no clipping; the cosine falls to 0; biases decay; dropout that goes
on from where the generator stands; validation with dropout, or on other blanks each time; weights that no seed decides;
the checkpoint of any config taken; a network handed back in training mode.
"""

from __future__ import annotations

import csv
import math
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from layouts import IGNORED

from glm_edu import Transformer
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, ConfigError
from glm_edu.training import __main__ as command
from glm_edu.training import loop
from glm_edu.training.batches import Batches
from glm_edu.training.loop import (
    initialize,
    learning_rate,
    make_optimizer,
    read_checkpoint,
    train,
    train_step,
    validate,
)
from glm_edu.training.poems import Poem, poems
from glm_edu.training.settings import CONFIGS, TANG_GLM, VOCABULARY, TrainingConfig, training_config
from glm_edu.training.vocabulary import tang_tokenizer

ROOT = Path(__file__).resolve().parents[2]
TINY = TrainingConfig(
    model=replace(TANG_GLM, hidden_size=16, num_layers=1, alpha_layers=1, num_heads=2, num_kv_groups=2, head_dim=8,
                  feedforward_size=16),
    steps=8, batch_tokens=256, poems=60, learning_rate=1e-2, warmup_steps=2, validate_every=4, checkpoint_every=3,
)  # fmt: skip


@pytest.fixture(autouse=True)
def few_poems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation of the tiny runs is not what is tested."""
    monkeypatch.setattr(loop, "VALIDATION_POEMS", 10)


def _log(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _weights(model: Transformer) -> list[torch.Tensor]:
    return [tensor for _name, tensor in sorted(model.state_dict().items())]


def _batch(config: TrainingConfig = TINY) -> Any:
    return Batches(poems("train")[:40], tang_tokenizer(), config.batch_tokens, config.blank_share, config.seed)[0]


# a run that learns


def _labels(some: list[Poem], blank_share: float) -> Counter[int]:
    """How often each token is asked for when these poems are blanked once."""
    batches = Batches(some, tang_tokenizer(), 4096, blank_share, seed=0)
    labels = torch.cat([batches[step].labels.flatten() for step in range(batches.steps_per_epoch)])
    return Counter(labels[labels != IGNORED].tolist())


def _unigram_loss(blank_share: float, config: TrainingConfig) -> float:
    """Nats a token of a guesser who knows how often each token is asked for in the same poems, and sees no context.

    One is added to each count, because half of the tokens are never asked for. The blanks are those of validation.
    """
    learned = _labels(poems("train")[: config.poems], blank_share)
    asked = _labels(poems("validation")[:: len(poems("validation")) // 400], blank_share)
    total = learned.total() + config.model.vocab_size
    return -sum(n * math.log((learned[token] + 1) / total) for token, n in asked.items()) / asked.total()


def _seconds_of_children() -> float:
    """Processor time, which other work on the machine does not stretch."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_smoke_run_learns_in_a_minute(tmp_path: Path) -> None:
    """From ln 3008 = 8.01 nats to what a unigram model of the same 2,000 poems reaches (5.87 and 6.39), or below.

    Seed 0 ends 0.05 below it and 0.06; over three seeds the worst is 0.07 above. So 0.1 is left for other processors.
    """
    before = _seconds_of_children()
    done = subprocess.run(
        [sys.executable, "-m", "glm_edu.training", "--config", "smoke", "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert _seconds_of_children() - before < 60
    assert done.stdout == f"{CONFIGS['smoke'].model.parameter_count:,} parameters; log and checkpoint in {tmp_path}\n"
    assert "120/120" in done.stderr  # the progress bar
    log = _log(tmp_path)
    assert [int(row["step"]) for row in log] == list(range(1, 121))
    assert abs(float(log[0]["loss"]) - math.log(VOCABULARY)) < 0.1
    for column, share in (("validation_mask", 1.0), ("validation_gmask", 0.0)):
        assert float(log[-1][column]) < _unigram_loss(share, CONFIGS["smoke"]) + 0.1


# twice the same, cut and gone on with


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Transformer, str]:
    """An uncut run: its network and its log."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "VALIDATION_POEMS", 10)
        model = train(TINY, out, progress=False)
    return model, (out / "log.csv").read_text()


def _is_whole(model: Transformer, out: Path, whole: tuple[Transformer, str]) -> bool:
    same = all(torch.equal(a, b) for a, b in zip(_weights(model), _weights(whole[0]), strict=True))
    return same and (out / "log.csv").read_text() == whole[1]


def test_a_run_is_the_same_whatever_was_drawn_before(tmp_path: Path, whole: tuple[Transformer, str]) -> None:
    torch.manual_seed(77)
    assert _is_whole(train(TINY, tmp_path, progress=False), tmp_path, whole)


def test_another_seed_is_another_run(tmp_path: Path, whole: tuple[Transformer, str]) -> None:
    assert not _is_whole(train(replace(TINY, seed=1), tmp_path, progress=False), tmp_path, whole)


def _killed_at(step: int) -> Callable[..., dict[str, Any]]:
    def until(model: Transformer, optimizer: Any, batch: Any, config: TrainingConfig, number: int) -> dict[str, Any]:
        if number == step:
            raise KeyboardInterrupt
        return train_step(model, optimizer, batch, config, number)

    return until


@pytest.mark.parametrize("step", [0, 1, 3, 5, 7])
def test_a_killed_run_goes_on_to_the_same_end(step: int, tmp_path: Path, whole: tuple[Transformer, str]) -> None:
    """Checkpoints are at 3, 6 and 8: killed before the first, right after one, between two, and before the last."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_step", _killed_at(step))
        train(TINY, tmp_path, progress=False)
    assert (tmp_path / "checkpoint.pt").is_file() == (step >= 3)
    torch.manual_seed(77)
    assert _is_whole(train(TINY, tmp_path, progress=False), tmp_path, whole)


def test_a_run_killed_while_it_saves_keeps_the_checkpoint_before(
    tmp_path: Path, whole: tuple[Transformer, str]
) -> None:
    saves = []

    def cut(state: dict[str, Any], file: Path) -> None:
        saves.append(file)
        if len(saves) == 2:
            file.write_bytes(b"half")
            raise KeyboardInterrupt
        torch_save(state, file)

    torch_save = torch.save
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", cut)
        train(TINY, tmp_path, progress=False)
    assert len(read_checkpoint(TINY, tmp_path)["log"]) == 3
    assert _is_whole(train(TINY, tmp_path, progress=False), tmp_path, whole)


def test_dropout_goes_on_the_same_too(tmp_path: Path) -> None:
    config = replace(TINY, steps=4, model=replace(TINY.model, hidden_dropout=0.3))
    uncut = train(config, tmp_path / "uncut", progress=False)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_step", _killed_at(3))
        train(config, tmp_path / "cut", progress=False)
    cut = train(config, tmp_path / "cut", progress=False)
    assert all(torch.equal(a, b) for a, b in zip(_weights(uncut), _weights(cut), strict=True))


def test_a_complete_run_is_not_trained_again(tmp_path: Path, whole: tuple[Transformer, str]) -> None:
    train(TINY, tmp_path, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", _killed_at(0))
        patch.setattr(loop, "batch_loss", None)
        assert _is_whole(train(TINY, tmp_path, progress=False), tmp_path, whole)


def test_the_network_is_handed_back_in_evaluation_mode(whole: tuple[Transformer, str]) -> None:
    assert not whole[0].training


# the log


def test_the_log_has_a_row_a_step_and_validation_where_it_was_made(whole: tuple[Transformer, str]) -> None:
    rows = list(csv.DictReader(whole[1].splitlines()))
    assert tuple(rows[0]) == loop.COLUMNS
    assert [int(row["step"]) for row in rows] == list(range(1, 9))
    for column in ("validation_mask", "validation_gmask"):
        assert [row["step"] for row in rows if row[column]] == ["4", "8"]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(
        [learning_rate(TINY, step) for step in range(8)], rel=1e-3  # it keeps four digits
    )  # fmt: skip


def test_tokens_are_those_with_a_label() -> None:
    model, batch = Transformer(TINY.model), _batch()
    row = train_step(model, make_optimizer(model, TINY), batch, TINY, 0)
    assert row["tokens"] == int((batch.labels != IGNORED).sum()) and row["step"] == 1


def test_each_checkpoint_is_kept_when_asked(tmp_path: Path) -> None:
    model = train(replace(TINY, steps=4, keep_checkpoints=True), tmp_path, progress=False)
    kept = sorted(path.name for path in tmp_path.glob("weights-*.pt"))
    assert kept == ["weights-000003.pt", "weights-000004.pt"]
    last = torch.load(tmp_path / kept[-1], weights_only=True)
    assert all(torch.equal(tensor, last[name]) for name, tensor in model.state_dict().items())


# a step


def test_the_learning_rate_rises_in_a_line_and_falls_in_a_cosine_to_a_hundredth() -> None:
    config = replace(TINY, steps=104, warmup_steps=4, learning_rate=1.0)
    assert [learning_rate(config, step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert learning_rate(config, 103) == pytest.approx(0.01)
    assert learning_rate(replace(config, steps=105), 54) == pytest.approx(0.505)  # half way down
    falling = [learning_rate(config, step) for step in range(4, 104)]
    assert falling == sorted(falling, reverse=True)


def test_gradients_are_clipped_and_their_length_is_logged_as_it_was() -> None:
    model = Transformer(TINY.model)
    row = train_step(model, make_optimizer(model, TINY), _batch(), replace(TINY, clip=1e-3), 0)
    length = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm().item()
    assert length == pytest.approx(1e-3, rel=1e-2) and row["gradient_norm"] > 1e-2


def test_matrices_decay_and_nothing_else() -> None:
    model = Transformer(TINY.model)
    decaying, others = make_optimizer(model, TINY).param_groups
    assert {p.ndim for p in decaying["params"]} == {2} and decaying["weight_decay"] == TINY.weight_decay
    assert {p.ndim for p in others["params"]} == {1} and others["weight_decay"] == 0
    assert len(decaying["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_linears_of_the_blocks_start_at_one_over_the_root_of_what_they_read() -> None:
    """1,024 weights or more each: their deviation is off by 2 % one time in three, by 10 % never."""
    model = initialize(Transformer(replace(TINY.model, hidden_size=64, head_dim=32)))
    linears = [module for module in model.blocks.modules() if isinstance(module, torch.nn.Linear)]
    assert len(linears) == 6  # query, key, value, output; up, down
    for linear in linears:
        assert linear.weight.std().item() == pytest.approx(linear.in_features**-0.5, rel=0.1)
    assert model.embedding.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_bfloat16_is_of_the_products_and_not_of_the_weights() -> None:
    model, config = Transformer(TINY.model), replace(TINY, precision="bfloat16")
    row = train_step(model, make_optimizer(model, config), _batch(), config, 0)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    torch.manual_seed(0)
    wide = Transformer(TINY.model)
    assert row["loss"] == pytest.approx(
        train_step(wide, make_optimizer(wide, TINY), _batch(), TINY, 0)["loss"], abs=0.02
    )


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_its_checkpoint(tmp_path: Path) -> None:
    def broken(model: Transformer, *others: Any) -> torch.Tensor:
        return sum(p.sum() for p in model.parameters()) * math.nan  # type: ignore[return-value]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_step", _killed_at(4))
        train(TINY, tmp_path, progress=False)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ConfigError, match="nan at step 4"):
        patch.setattr(loop, "batch_loss", broken)
        train(TINY, tmp_path, progress=False)
    assert all(tensor.isfinite().all() for tensor in read_checkpoint(TINY, tmp_path)["model"].values())


def test_validation_is_the_same_each_time_and_leaves_the_mode() -> None:
    model = initialize(Transformer(replace(TINY.model, hidden_dropout=0.5))).train()
    with torch.no_grad():
        model.embedding.weight *= 50  # so that dropout, were it on, would show in the loss
        model.head.weight *= 50
    first = validate(model, TINY)
    assert validate(model, TINY) == first and model.training
    assert validate(model.eval(), TINY) == first and not model.training
    assert first.keys() == {"validation_mask", "validation_gmask"}


# configs and checkpoints that cannot be


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"batch_tokens": 0}, "batch_tokens=0 must be at least 1"),
        ({"validate_every": 0}, "validate_every=0 must be at least 1"),
        ({"checkpoint_every": -1}, "checkpoint_every=-1 must be at least 1"),
        ({"warmup_steps": 8}, "warmup_steps=8 must be less than steps=8"),
        ({"warmup_steps": -1}, "warmup_steps=-1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be greater than 0"),
        ({"learning_rate": math.nan}, "learning_rate=nan must be greater than 0"),
        ({"clip": -1.0}, "clip=-1.0 must be greater than 0"),
        ({"blank_share": 1.5}, r"blank_share=1.5 must lie in \[0, 1\]"),
        ({"poems": 0}, "poems=0 must be at least 1"),
        ({"precision": "float16"}, "precision='float16' may be"),
    ],
)
def test_a_value_out_of_its_range_is_refused(change: dict[str, Any], said: str, unchecked: None) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(TINY, **change)


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no training config 'big'\. There are: tang-glm, tang-glm2, .*smoke"):
        training_config("big")


def test_runs_that_are_compared_differ_in_what_is_compared_alone() -> None:
    """The two generations share everything but the network; an ablation differs in one choice."""
    reference = CONFIGS["ablation-reference"]
    assert replace(CONFIGS["tang-glm2"], model=TANG_GLM) == CONFIGS["tang-glm"]
    for name, changed in (
        ("causal", {"mask"}),
        ("pre-norm", {"residual"}),
        ("one-clock", {"positions", "rotary_channels"}),
    ):
        config = CONFIGS[f"ablation-{name}"]
        assert replace(config, model=TANG_GLM) == reference
        assert {f for f in vars(TANG_GLM) if getattr(config.model, f) != getattr(TANG_GLM, f)} == changed
    counts = [CONFIGS[name].model.parameter_count for name in ("tang-glm", "tang-glm2")]
    assert max(counts) <= 1_500_000 and max(counts) / min(counts) < 1.01


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    train(replace(TINY, steps=3), tmp_path, progress=False)
    return tmp_path


def test_the_checkpoint_of_another_run_is_refused(trained: Path) -> None:
    before = (trained / "checkpoint.pt").read_bytes()
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt belongs to a run of another config\. Give another"):
        train(TINY, trained, progress=False)
    assert (trained / "checkpoint.pt").read_bytes() == before


def test_a_cut_checkpoint_is_refused_with_the_mend(trained: Path) -> None:
    whole = (trained / "checkpoint.pt").read_bytes()
    for content in (whole[: len(whole) // 2], b""):
        (trained / "checkpoint.pt").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt is cut or broken\. Delete it and start anew"):
            train(replace(TINY, steps=3), trained, progress=False)


@pytest.mark.parametrize("content", [{"some": 1}, [1, 2], torch.zeros(2)], ids=["dict", "list", "tensor"])
def test_a_file_that_is_no_checkpoint_of_a_run_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="another config"):
        train(TINY, tmp_path, progress=False)


def test_no_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"has no checkpoint\.pt\. Train first"):
        read_checkpoint(TINY, tmp_path)


def test_a_file_is_no_directory_to_train_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"file is a file\. Give a directory"):
        train(TINY, tmp_path / "file", progress=False)


# the command


def test_an_unknown_config_exits_with_1_and_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "big"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("There is no training config 'big'. There are: tang-glm, ")


def test_the_command_says_where_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CONFIGS, "tiny", replace(TINY, steps=3))
    assert command.main(["--config", "tiny"]) == 0
    assert capsys.readouterr().out.endswith(" parameters; log and checkpoint in runs/tiny\n")
    assert len(_log(tmp_path / "runs" / "tiny")) == 3


@pytest.mark.parametrize(
    ("step", "said"), [(2, "starts anew: no checkpoint yet"), (4, r"goes on from .*checkpoint\.pt")]
)
def test_ctrl_c_says_what_the_same_command_does(
    step: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    monkeypatch.setattr(loop, "train_step", _killed_at(step))
    assert command.main(["--config", "tiny", "--out", str(tmp_path)]) == 130
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert last.startswith("Stopped. The same command ") and re.search(said, last)


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5"])
def test_threads_are_a_whole_number(threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--threads", threads])
    assert f"'{threads}' should be a whole number from 1" in capsys.readouterr().err


def test_help_lists_every_config_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    said = capsys.readouterr().out
    for name, config in CONFIGS.items():
        assert f"{name:20} {config.steps:6,} steps {config.model.parameter_count:11,} parameters" in said
