"""Turn a GGUF file of a LLaMA model into an official directory: gguf_to_official.py model.gguf directory"""

import sys
from pathlib import Path

from glm_edu.checkpoints.gguf import convert

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
