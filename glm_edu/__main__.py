"""``python -m glm_edu``: the command line; ``glm-edu`` is the same."""

import sys

from glm_edu.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
