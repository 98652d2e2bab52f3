"""Components: every piece of the official code that was run alone, and ours beside it.

The rungs stand in the order of ``glm_edu/model``, so that the first divergent one is the lowest piece that is wrong;
quantized weights come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from glm_edu.parity import pieces, quantized, wholes
from glm_edu.parity.component import Component
from glm_edu.parity.ladder import Ladder, Rung

PIECES: tuple[tuple[str, Callable[[Component], Iterator[Rung]]], ...] = (
    ("chatglm1_gelu", pieces.gelu_rungs),
    ("chatglm2_components", pieces.swiglu_rungs),
    ("chatglm2_components", pieces.rms_norm_rungs),
    ("chatglm1_rotary", pieces.frequencies_rungs),
    ("chatglm1_rotary", pieces.angles_rungs),
    ("chatglm1_rotary", pieces.apply_halves_rungs),
    ("chatglm2_components", pieces.tables_rungs),
    ("chatglm2_components", pieces.apply_pairs_rungs),
    ("chatglm2_components", pieces.masks_rungs),
    ("chatglm1_attention_fn", pieces.attention_rungs),
    ("chatglm1_block", wholes.block_rungs),
    ("chatglm1_loss", wholes.loss_rungs),
    ("chatglm1_half", wholes.half_chatglm_rungs),
    ("chatglm2_half", wholes.half_chatglm2_rungs),
    ("chatglm1_quant", quantized.first_rungs),
    ("chatglm2_quantization", quantized.second_rungs),
)


def prove_components() -> Ladder:
    """Every stored component beside ours."""
    with torch.no_grad():
        return Ladder(tuple(rung for name, rungs in PIECES for rung in rungs(Component(name))))
