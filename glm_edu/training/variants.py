"""The live run with one thing changed: ``python -m glm_edu.training.variants`` measures what each change does.

All see the same batches, and all are measured in the same way: on the blanks of validation poems. Chapter 12 shows it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from glm_edu.loss import IGNORED_LABEL
from glm_edu.model.transformer import Transformer
from glm_edu.training import results
from glm_edu.training.batches import Batch, Batches
from glm_edu.training.loop import initialize, make_optimizer, train_step, validate
from glm_edu.training.poems import poems
from glm_edu.training.settings import TrainingConfig, training_config
from glm_edu.training.vocabulary import tang_tokenizer


def label_everything(batch: Batch) -> Batch:
    """Every token but padding is a label: the text around the blanks too, which its own tokens can see."""
    padding = batch.ids == tang_tokenizer().pad_id  # b s
    return batch._replace(labels=batch.ids.masked_fill(padding, IGNORED_LABEL))


@dataclass(frozen=True)
class Variant:
    """One change of a run."""

    config: TrainingConfig
    start: Callable[[Transformer], Transformer] = initialize
    change: Callable[[Batch], Batch] = lambda batch: batch


def variants(config: TrainingConfig) -> dict[str, Variant]:
    """The run itself, and three changes by name."""
    return {
        "as it is": Variant(config),
        "own weights": Variant(config, start=lambda model: model),
        "no warm-up": Variant(replace(config, warmup_steps=0)),
        "labels everywhere": Variant(config, change=label_everything),
    }


def measure(variant: Variant) -> dict[str, Any]:
    """The loss that each step prints, and the loss on validation blanks now and then."""
    config = variant.config
    torch.manual_seed(config.seed)
    model = variant.start(Transformer(config.model)).train()
    optimizer = make_optimizer(model, config)
    train = poems("train")[: config.poems]
    batches = Batches(train, tang_tokenizer(), config.batch_tokens, config.blank_share, config.seed)
    printed, held_out = [], {}
    for step in range(config.steps):
        printed.append(train_step(model, optimizer, variant.change(batches[step]), config, step)["loss"])
        if (step + 1) % config.validate_every == 0:
            held_out[str(step + 1)] = [round(loss, 3) for loss in validate(model, config).values()]
    return {"loss": [round(loss, 3) for loss in printed], "validation": held_out}


def main() -> int:
    torch.set_num_threads(1)
    measured = {}
    for name, variant in variants(training_config("live")).items():
        measured[name] = measure(variant)
        print(f"{name:18} {measured[name]['validation']}")
    print(results.store("live_variants", measured).name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
