"""P-tuning v2: train the prefix of a network, and nothing else.

The task of chapter 14: answer a line with one line. Tang GLM, asked with the first line of a couplet, writes the rest
of a poem; a prefix teaches it to write the second line and stop. The steps are those of ``loop.train_step``.

Official: ptuning/main.py and train.sh of ChatGLM-6B and ChatGLM2-6B.
Differs: the official constructors freeze what they made before the prefix, so that ``lm_head`` of ChatGLM-6B stays
trainable; here all that is no prefix is frozen.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.errors import ConfigError, InputError
from glm_edu.generate import generate
from glm_edu.loss import IGNORED_LABEL
from glm_edu.model.prefix import PrefixEncoder
from glm_edu.model.transformer import Transformer
from glm_edu.record import record
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.batches import Batch, Batches, line_spans
from glm_edu.training.corrupt import Example, corrupt
from glm_edu.training.loop import batch_loss, make_optimizer, train_step
from glm_edu.training.poems import Poem
from glm_edu.training.quality import form, without
from glm_edu.training.settings import TANG_GLM, TrainingConfig

P_TUNING = TrainingConfig(  # chapter 14 trains it while you wait
    model=replace(TANG_GLM, prefix_length=8), steps=60, batch_tokens=1536, learning_rate=0.1, warmup_steps=10,
    weight_decay=0.0,
)  # fmt: skip
# Learning rates without and with projection: the smallest that ``p_tuning_study`` tried whose loss on validation poems
# is within 0.015 nats of the lowest. Larger ones forget more.
RATES = {False: 0.1, True: 3e-3}
LONGEST = 72  # tokens of an answer: eight lines of seven with their marks, less one, and room to see what never ends


def attach_prefix(model: Transformer, prefix: PrefixEncoder | None) -> PrefixEncoder | None:
    """Put ``prefix`` in front of ``model`` in place of the one that it has, which is returned. None takes it off."""
    before, config = model.prefix, model.config
    made = replace(config, prefix_length=0) if prefix is None else prefix.config
    same = {name: getattr(made, name) for name in vars(made) if name.startswith("prefix_")}
    model.prefix, model.config = prefix, replace(config, **same)
    return before


def freeze_behind_prefix(model: Transformer, config: ModelConfig, seed: int = 0) -> None:
    """Give ``model`` a fresh prefix, the only part that still learns. It starts from PyTorch's own random weights.

    Raises:
        ConfigError: ``config.prefix_length`` is 0.
    """
    if not config.prefix_length:
        raise ConfigError("prefix_length=0 leaves nothing to train; P-tuning needs at least 1.")
    torch.manual_seed(seed)
    model.requires_grad_(False)
    attach_prefix(model, PrefixEncoder(config).to(model.embedding.weight.device))


def tune(
    model: Transformer, config: TrainingConfig, batches: Batches,
    watch: Callable[[int], None] = lambda step: None,
) -> list[dict[str, float | int]]:  # fmt: skip
    """Train a fresh prefix in front of ``model``, which keeps it.

    Args:
        config: the prefix (``config.model.prefix_*``), the schedule and the seed.
        batches: the task; see ``draw_answer``.
        watch: called with the number of steps done: before the first, and after each.

    Returns:
        The log, a row a step, as ``train_step`` makes it.

    Raises:
        ConfigError: a prefix of no length, or a loss that is no number any more.
    """
    freeze_behind_prefix(model, config.model, config.seed)
    optimizer, log = make_optimizer(model, config), []
    watch(0)
    for step in range(config.steps):
        model.train()
        torch.manual_seed(config.seed + step)  # the prefix has dropout while it learns
        log.append(train_step(model, optimizer, batches[step], config, step))
        model.eval()
        watch(step + 1)
    return log


def draw_answer(poem: Poem, tokenizer: CharacterTokenizer, draw: random.Random, blank_share: float = 0.0) -> Example:
    """One couplet of the poem: its first line is the prompt, its second the answer, and nothing comes after it."""
    spans = line_spans(poem)
    start, width = spans[2 * draw.randrange(len(spans) // 2)]
    ids = tokenizer.encode(poem.text[start : start + 2 * width + 2], add_special_tokens=False, allow_unknown=True)
    return corrupt(ids, [(width + 1, width + 1)], tokenizer, "[gMASK]")


@torch.no_grad()
def mean_loss(model: Transformer, batches: Sequence[Batch]) -> float:
    """Nats a label over all of the batches."""
    counts = [int((batch.labels != IGNORED_LABEL).sum()) for batch in batches]
    return sum(batch_loss(model, b).item() * n for b, n in zip(batches, counts, strict=True)) / sum(counts)


def answers(model: Transformer, tokenizer: CharacterTokenizer, given: Sequence[str]) -> list[str]:
    """What the network writes behind each text of ``given``; it ends in <eop>, or is cut.

    The likeliest token each time, but never <unk>.

    Raises:
        InputError: texts of several lengths: they are one batch.
    """
    if len({len(text) for text in given}) != 1:
        raise InputError("answers() takes texts of one length: they are one batch.")
    prompts = torch.tensor([tokenizer.encode(f"{text}[gMASK]", allow_unknown=True) for text in given])  # b s
    with record(model, names=(), replace={"logits": without(tokenizer.unk_id)}):
        new = generate(model, prompts, LONGEST)[:, prompts.shape[1] :]  # b t
    return ["".join(tokenizer.tokens[i] for i in row if i != tokenizer.pad_id) for row in new.tolist()]


def is_one_line(given: str, answer: str) -> bool:
    """Whether the answer is a line as long as the one given, with its 。, and nothing after it."""
    line = answer.removesuffix("。<eop>")
    return line != answer and len(line) == len(given.rstrip("，。")) and not {"，", "。", "<"} & set(line)


def finishes_poem(given: str, answer: str) -> bool:
    """Whether the lines given and the answer make a poem: four lines or eight, of one length, ended."""
    return form(given + answer, len(given.partition("，")[0]))["all of it"]


@torch.no_grad()
def prefix_mass(
    model: Transformer, ids: Int[Tensor, "1 s"]
) -> tuple[Float[Tensor, "n q k"], Float[Tensor, "layers heads"]]:
    """The maps of all heads, layer by layer, and the weight that each head puts on the prefix, a mean over tokens."""
    with record(model.eval(), "blocks.*.attention.probs") as seen:
        model(ids)
    maps = torch.cat([seen[f"blocks.{i}.attention.probs"][0] for i in range(model.config.num_layers)])  # n q k
    mass = maps[..., : model.config.prefix_length].sum(-1).mean(-1)  # n
    return maps, mass.view(model.config.num_layers, -1)


def fingerprint(model: Transformer) -> str:
    """A sha256 over every weight that is no prefix, by name and by bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith("prefix."):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
