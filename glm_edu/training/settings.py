"""What a training run is: a network, a schedule, a seed. The named runs of the book are at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from glm_edu.config import ModelConfig
from glm_edu.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One run, the same on every machine of one kind: nothing but these values and the data decides about it.

    Raises:
        ConfigError: a value outside its range.
    """

    model: ModelConfig
    steps: int
    batch_tokens: int = 4096  # a batch holds as many poems of one form as fit
    poems: int | None = None  # the first so many of the training split; None: all
    learning_rate: float = 3e-3  # at the end of the warm-up; then a cosine down to a hundredth
    warmup_steps: int = 100
    weight_decay: float = 0.1  # of matrices only
    clip: float = 1.0  # longest gradient, all parameters together
    blank_share: float = 0.6  # of examples have [MASK] blanks; the others [gMASK]
    precision: Literal["float32", "bfloat16"] = "float32"  # of matrix products; weights stay float32
    validate_every: int = 500
    checkpoint_every: int = 500
    keep_checkpoints: bool = False  # True: keep each checkpoint, not only the last
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_tokens", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1.")
        if not 0 <= self.warmup_steps < self.steps:
            raise ConfigError(f"warmup_steps={self.warmup_steps} must be less than steps={self.steps}.")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)} must be greater than 0.")
        if not 0 <= self.blank_share <= 1:
            raise ConfigError(f"blank_share={self.blank_share} must lie in [0, 1].")
        if self.poems is not None and self.poems < 1:
            raise ConfigError(f"poems={self.poems} must be at least 1.")
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(f"precision={self.precision!r} may be 'float32' or 'bfloat16'.")


VOCABULARY = 3008  # 3,000 characters and 8 others; see vocabulary.py
_IDS = dict(bos_id=3006, eos_ids=(3007,), pad_id=1)

TANG_GLM = replace(
    ModelConfig.preset("tiny-chatglm"), vocab_size=VOCABULARY, hidden_size=128, num_layers=4, alpha_layers=4,
    num_heads=4, num_kv_groups=4, head_dim=32, feedforward_size=384, max_positions=128,
    mask_id=3004, gmask_id=3005, **_IDS,  # type: ignore[arg-type]
)  # fmt: skip
TANG_GLM2 = replace(
    ModelConfig.preset("tiny-chatglm2"), vocab_size=VOCABULARY, hidden_size=128, num_layers=4, num_heads=4,
    num_kv_groups=2, head_dim=32, feedforward_size=304, max_positions=128, **_IDS,  # type: ignore[arg-type]
)  # fmt: skip

_FULL = TrainingConfig(model=TANG_GLM, steps=8000, precision="bfloat16", warmup_steps=300)
_SHORT = replace(_FULL, steps=800, warmup_steps=100)
CONFIGS: dict[str, TrainingConfig] = {
    "tang-glm": _FULL,
    "tang-glm2": replace(_FULL, model=TANG_GLM2),
    "ablation-reference": _SHORT,
    "ablation-one-clock": replace(_SHORT, model=replace(TANG_GLM, positions="sequential", rotary_channels=1)),
    "ablation-causal": replace(_SHORT, model=replace(TANG_GLM, mask="causal")),
    "ablation-pre-norm": replace(_SHORT, model=replace(TANG_GLM, residual="pre_norm")),
    "smoke": TrainingConfig(
        model=replace(TANG_GLM, hidden_size=64, num_layers=2, alpha_layers=2, head_dim=16, feedforward_size=256),
        steps=120, batch_tokens=1024, poems=2000, learning_rate=4e-3, warmup_steps=20,
        validate_every=60, checkpoint_every=60,
    ),
    "live": TrainingConfig(  # chapter 12 trains it while you wait
        model=replace(TANG_GLM, num_layers=2, alpha_layers=2, feedforward_size=256),
        steps=320, batch_tokens=1024, learning_rate=2e-3, warmup_steps=40,
        validate_every=160, checkpoint_every=20, keep_checkpoints=True,
    ),
}  # fmt: skip


def training_config(name: str) -> TrainingConfig:
    """A named run.

    Raises:
        ConfigError: an unknown name; the message lists the known ones.
    """
    if name not in CONFIGS:
        raise ConfigError(f"There is no training config {name!r}. There are: {', '.join(CONFIGS)}.")
    return CONFIGS[name]
