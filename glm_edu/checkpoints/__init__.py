"""Official checkpoints: read them without a second copy, account for every tensor, write them back. One idea a file:

arguments, name_maps, layout, files, shards, hub, checks, load, prefix, write, save.
"""

from glm_edu.checkpoints.checks import CheckpointWarning
from glm_edu.checkpoints.load import from_pretrained
from glm_edu.checkpoints.prefix import load_prefix
from glm_edu.checkpoints.save import save_pretrained

__all__ = ["CheckpointWarning", "from_pretrained", "load_prefix", "save_pretrained"]
