"""What a pass costs, from a ModelConfig alone (``formulas``), and as counted while it runs (``counters``)."""

from glm_edu.cost.counters import CopyMeter, count_flops
from glm_edu.cost.formulas import Flops, cache_bytes, forward_flops, weight_bytes
from glm_edu.cost.reuse import Fate, Reading, fates

__all__ = [
    "CopyMeter",
    "Fate",
    "Flops",
    "Reading",
    "cache_bytes",
    "count_flops",
    "fates",
    "forward_flops",
    "weight_bytes",
]
