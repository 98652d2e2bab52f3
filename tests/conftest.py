"""For every test: shapes checked at run time, properties with the same examples each time, one thread, a fixed seed.

The import hook reads the annotations of ``glm_edu`` (``Float[Tensor, "b s h"]``) and checks each call against them.
It must be installed before anything imports the package; that is why this file stands at the root of the tests.
"""

from collections.abc import Iterator

import jaxtyping
import shape_checks

shape_checks.install("glm_edu")

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "same every time",
    derandomize=True,  # the examples follow from the test, so a failure comes again
    deadline=None,  # a busy machine is no reason to fail
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same every time")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Each test draws the same random weights, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the shape checks: as a user meets the package, for tests of what it says about wrong input."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
