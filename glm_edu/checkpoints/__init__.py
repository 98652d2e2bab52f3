"""Official checkpoints: read them without a second copy, account for every tensor, write them back. One idea a file:

arguments, name_maps, layout, files, shards, download, repository, gguf, wheel, hub, checks, sketch, dry_run,
needs, free, changes, room, load, plan, prefix, write, save.
"""

from glm_edu.checkpoints.checks import CheckpointWarning
from glm_edu.checkpoints.hub import fetch
from glm_edu.checkpoints.load import from_pretrained
from glm_edu.checkpoints.plan import Plan, plan
from glm_edu.checkpoints.prefix import load_prefix, save_prefix
from glm_edu.checkpoints.room import MemoryWarning
from glm_edu.checkpoints.save import save_pretrained

__all__ = [
    "CheckpointWarning",
    "MemoryWarning",
    "Plan",
    "fetch",
    "from_pretrained",
    "load_prefix",
    "plan",
    "save_prefix",
    "save_pretrained",
]
