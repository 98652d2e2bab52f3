"""One model over several devices, by PyTorch's own tensor parallelism. One idea a file:

splits (what is cut how, as data), ranks (the processes), distribute (PyTorch cuts), load (each rank reads its part),
sent (what goes over the wire, counted), report (what a rank can say), batch (a model each, the rows shared out).
"""

from glm_edu.parallel.batch import generate_rows
from glm_edu.parallel.distribute import distribute
from glm_edu.parallel.load import load_parallel
from glm_edu.parallel.ranks import RankError, joined, run_local, this_rank
from glm_edu.parallel.report import held_bytes, report
from glm_edu.parallel.sent import count_sent
from glm_edu.parallel.splits import Split, SplitPlan, split_plan

__all__ = [
    "RankError",
    "Split",
    "SplitPlan",
    "count_sent",
    "distribute",
    "generate_rows",
    "held_bytes",
    "joined",
    "load_parallel",
    "report",
    "run_local",
    "split_plan",
    "this_rank",
]
