"""Every tensor accounted for: what is missing, extra or of the wrong shape is said in one error. Nothing is skipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.checkpoints.layout import OfficialTensor
from glm_edu.config import ModelConfig
from glm_edu.errors import CheckpointError

_HINTS = (  # in which list, part of a name, what it usually means
    ("extra", "prefix_encoder", "A P-tuning prefix needs pre_seq_len (and prefix_projection) in config.json."),
    ("extra", "weight_scale", "weight_scale belongs to quantized weights: config.json should say quantization_bit."),
    ("missing", "weight_scale", "Weights that are floats need no quantization_bit: remove it from config.json."),
    ("missing", "lm_head", "If the head is the embedding once more, config.json says so: tie_word_embeddings true."),
)


class CheckpointWarning(UserWarning):
    """A checkpoint that loads, but whose content looks damaged."""


def check_names_and_shapes(
    expected: Iterable[OfficialTensor], found: Mapping[str, Tensor],
    ignored: Iterable[str],
) -> None:  # fmt: skip
    """Compare what the config calls for with what the file holds.

    Args:
        expected: every tensor that the network needs.
        found: the file's tensors by name.
        ignored: names that may be in the file and are not read.

    Raises:
        CheckpointError: lists every missing, extra and mis-shaped tensor.
    """
    needed = {tensor.name: tensor for tensor in expected}
    missing = [name for name in needed if name not in found]
    extra = sorted(found.keys() - needed.keys() - set(ignored))
    both = ((needed[name], found[name]) for name in needed if name in found)
    wrong = [problem for pair in both if (problem := _problem(*pair))]
    if missing or extra or wrong:
        lists = {"missing": missing, "extra": extra, "of the wrong kind": wrong}
        raise CheckpointError(_account(lists))


def _account(lists: Mapping[str, list[str]]) -> str:
    """Every name in its list, and what such names usually mean."""
    parts = [f"{len(names)} {title}:\n  " + "\n  ".join(names) for title, names in lists.items() if names]
    hints = [hint for title, word, hint in _HINTS if any(word in name for name in lists[title])]
    return "\n".join(["The checkpoint does not fit its config.json.", *parts, *hints])


def _problem(expected: OfficialTensor, found: Tensor) -> str:
    if tuple(found.shape) != expected.shape:
        return f"{expected.name}: shape {list(found.shape)} in the file, {list(expected.shape)} by config.json"
    right = found.dtype == torch.int8 if expected.quantized else found.is_floating_point()
    if not right or found.layout != torch.strided:
        wanted = "int8, as quantized weights are" if expected.quantized else "plain floating-point numbers"
        return f"{expected.name}: {found.dtype} ({found.layout}) in the file; expected {wanted}"
    return ""


def check_layers(config: ModelConfig, found: Mapping[str, Tensor]) -> None:
    """Compare the number of layers with the files, before a network of that many is sketched.

    Raises:
        CheckpointError: there are not even as many tensors as layers.
    """
    if config.num_layers > len(found):
        raise CheckpointError(
            f"config.json calls for {config.num_layers} layers, and the files hold {len(found)} tensors in all: "
            "they are not of one model, or config.json is damaged. Fetch both again."
        )


def is_finite(tensor: Float[Tensor, "*shape"]) -> bool:
    """False if any element is NaN or infinite. Three numbers are made at most, not a mask as large as the tensor.

    One such element makes the sum one too, and a sum is the fastest way to look at all of them. The sum of sound
    elements may overflow; then the extremes decide.
    """
    return bool(tensor.sum().isfinite()) or all(bool(extreme.isfinite()) for extreme in tensor.aminmax())
