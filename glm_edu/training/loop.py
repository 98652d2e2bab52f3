"""The training loop: AdamW, a warm-up and a cosine, clipped gradients, checkpoints that a killed run goes on from."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from glm_edu.errors import CheckpointError, CheckpointNotFoundError, ConfigError
from glm_edu.loss import IGNORED_LABEL
from glm_edu.model.transformer import Transformer
from glm_edu.training.batches import Batch, Batches
from glm_edu.training.poems import poems
from glm_edu.training.settings import TrainingConfig
from glm_edu.training.vocabulary import tang_tokenizer

COLUMNS = ("step", "tokens", "loss", "learning_rate", "gradient_norm", "validation_mask", "validation_gmask")
VALIDATION_POEMS = 400
CHECKPOINT = "checkpoint.pt"


def train(config: TrainingConfig, out: Path, progress: bool = True) -> Transformer:
    """Train, or go on from the checkpoint in ``out``; write ``log.csv`` and checkpoints there.

    Args:
        config: the network, the schedule and the seed.
        out: a directory; made if it is not there.
        progress: draw a progress bar.

    Returns:
        The trained network, in evaluation mode.

    Raises:
        CheckpointError: ``out`` is a file, or holds a checkpoint of another run, or one that cannot be read.
        ConfigError: the loss is no number any more.
    """
    if out.exists() and not out.is_dir():
        raise CheckpointError(f"{out} is a file. Give a directory for the log and the checkpoints.")
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = initialize(Transformer(config.model)).train()
    model.eager_attention = config.precision == "bfloat16"  # the fused kernel is slow in bfloat16 on a CPU
    optimizer = make_optimizer(model, config)
    tokenizer = tang_tokenizer()
    batches = Batches(poems("train")[: config.poems], tokenizer, config.batch_tokens, config.blank_share, config.seed)
    log = _resume(config, model, optimizer, out)
    steps = range(len(log), config.steps)
    with tqdm(steps, desc="training", unit="step", initial=len(log), total=config.steps, disable=not progress) as bar:
        for step in bar:
            torch.manual_seed(config.seed + step)  # dropout, if there is any, goes by the step as the batches do
            log.append(train_step(model, optimizer, batches[step], config, step))
            if (step + 1) % config.validate_every == 0 or step + 1 == config.steps:
                log[-1] |= validate(model, config)
            if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
                _save(config, model, optimizer, log, out)
            bar.set_postfix(loss=f"{log[-1]['loss']:.3f}", refresh=False)
    return model.eval()


def initialize(model: Transformer) -> Transformer:
    """Normal weights of deviation 1 / sqrt(fan in) in the blocks, so that each linear keeps the size of what it reads.

    The network's own 0.02 is of that size at hidden 4096. At 128 it lets the first DeepNorm layers say almost nothing,
    and the loss soon stands still (``results/live_variants.json``).
    """
    for module in model.blocks.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    return model


def make_optimizer(model: Transformer, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW that lets matrices decay, and biases and norms alone."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Up in a straight line over the warm-up, then down a half cosine to a hundredth."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - 1 - config.warmup_steps)
    return config.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def train_step(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: TrainingConfig,
    step: int,
) -> dict[str, float | int]:
    """One update. Returns the row of the log: loss and norm before the update, ``tokens`` are those with a label.

    Raises:
        ConfigError: the loss is no number any more.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    loss = batch_loss(model, batch, config.precision)
    if not loss.isfinite():
        raise ConfigError(f"The loss is {loss.item()} at step {step + 1}. "
                          f"Take a learning_rate below {config.learning_rate}, "
                          f"or more warmup_steps than {config.warmup_steps}.")  # fmt: skip
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
    predicted = int((batch.labels != IGNORED_LABEL).sum())
    return {"step": step + 1, "tokens": predicted, "loss": round(loss.item(), 4),
            "learning_rate": float(f"{learning_rate(config, step):.4g}"),
            "gradient_norm": round(norm.item(), 4)}  # fmt: skip


def batch_loss(
    model: Transformer,
    batch: Batch,
    precision: str = "float32",
) -> Float[Tensor, ""]:
    """Cross entropy in nats a token. The same as ``next_token_loss``; the logits without a label are not copied."""
    positions = batch.positions if model.config.rotary_channels == 2 else None
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        logits = model(batch.ids, position_ids=positions)  # b s v
    # each place gets the label of the token after it
    labels = F.pad(batch.labels[:, 1:], (0, 1), value=IGNORED_LABEL)  # b s
    predicted = labels != IGNORED_LABEL
    return F.cross_entropy(logits[predicted].float(), labels[predicted])


@torch.no_grad()
def validate(model: Transformer, config: TrainingConfig) -> dict[str, float]:
    """Loss on fixed blanks of validation poems, for [MASK] and [gMASK]; the same blanks each time and in every run."""
    held_out = poems("validation")[:: max(1, len(poems("validation")) // VALIDATION_POEMS)]
    training, losses = model.training, {}
    model.eval()
    for name, share in (("validation_mask", 1.0), ("validation_gmask", 0.0)):
        batches = Batches(held_out, tang_tokenizer(), 4096, share, seed=0)
        losses[name] = _mean(
            (batch_loss(model, batch, config.precision).item(), int((batch.labels != IGNORED_LABEL).sum()))
            for batch in (batches[step] for step in range(batches.steps_per_epoch))
        )
    model.train(training)
    return losses


def _mean(pairs: Iterator[tuple[float, int]]) -> float:
    values, counts = zip(*pairs, strict=True)
    return round(sum(v * c for v, c in zip(values, counts, strict=True)) / sum(counts), 4)


def _fingerprint(config: TrainingConfig) -> str:
    """What a checkpoint and the config of its run have in common."""
    return hashlib.sha256(repr(dataclasses.asdict(config)).encode()).hexdigest()


def _save(
    config: TrainingConfig, model: Transformer, optimizer: torch.optim.Optimizer, log: list[dict], out: Path
) -> None:
    """Write the log, then the checkpoint under its name at once, so that a cut leaves the old one whole."""
    with (out / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(log)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "log": log,
             "run": _fingerprint(config)}  # fmt: skip
    torch.save(state, out / "checkpoint.tmp")
    os.replace(out / "checkpoint.tmp", out / CHECKPOINT)
    if config.keep_checkpoints:
        torch.save(model.state_dict(), out / f"weights-{len(log):06d}.pt")


def _resume(config: TrainingConfig, model: Transformer, optimizer: torch.optim.Optimizer, out: Path) -> list[dict]:
    """Fill model and optimizer from the checkpoint in ``out``, if there is one. Returns the log so far."""
    if not (out / CHECKPOINT).is_file():
        return []
    state = read_checkpoint(config, out)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["log"]


def read_checkpoint(config: TrainingConfig, out: Path) -> dict[str, Any]:
    """The last checkpoint of a run: ``model`` and ``optimizer`` (state dicts), ``log`` (its rows) and ``run``.

    Raises:
        CheckpointNotFoundError: there is none.
        CheckpointError: it cannot be read, or it is one of another run.
    """
    file = out / CHECKPOINT
    if not file.is_file():
        raise CheckpointNotFoundError(f"{out} has no {CHECKPOINT}. Train first: python -m glm_edu.training --help")
    try:
        state = torch.load(file, weights_only=True)
    except Exception as error:  # the zip file and the pickle in it raise their own kinds
        raise CheckpointError(f"{file} is cut or broken. Delete it and start anew, or take a copy of it.") from error
    if not isinstance(state, dict) or state.get("run") != _fingerprint(config):
        raise CheckpointError(f"{file} belongs to a run of another config. Give another directory, or delete it.")
    return state
