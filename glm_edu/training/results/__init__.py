"""What was measured on the shipped models, as it was stored: one JSON file a measurement, beside this one.

Pages and tests read them, so that a page needs no minutes of computing. Each file has its command in
``glm_edu/training/README.md``; ``python -m glm_edu.training.evaluate --write`` stores ``evaluation``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from glm_edu.errors import ResultsNotFoundError

RESULTS = Path(__file__).parent


def load(name: str) -> dict[str, Any]:
    """The stored results of a measurement.

    Raises:
        ResultsNotFoundError: there are none of that name.
    """
    file = RESULTS / f"{name}.json"
    if not file.is_file():
        stored = ", ".join(sorted(file.stem for file in RESULTS.glob("*.json"))) or "none"
        raise ResultsNotFoundError(
            f"There are no stored results {name!r} (stored: {stored}). glm_edu/training/README.md has the "
            "commands that measure."
        )
    return json.loads(file.read_text(encoding="utf-8"))


def store(name: str, data: dict[str, Any]) -> Path:
    """Write results under ``name``, whole or not at all. Round them first: they are stored as given.

    Returns:
        The file.
    """
    file = RESULTS / f"{name}.json"
    text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False)
    file.with_suffix(".tmp").write_text(text + "\n", encoding="utf-8")
    os.replace(file.with_suffix(".tmp"), file)
    return file
