"""What every test may use, and how all tests together take the least time."""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.provider import StrictProvider

# The same examples everywhere, however slow the machine is; HYPOTHESIS_PROFILE=search looks for
# new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Next to nothing of what is imported and collected is garbage, and it stays to the end: looking
# through it again and again takes a worker a fifth of its collection, and half a second each time
# later on.
gc.disable()

LONGEST_FIRST = (
    "tests/e2e/test_coding_agents.py",
    "tests/e2e/test_lost_turns.py",
    "tests/deploy/",
    "tests/e2e/test_restarts.py",
    "tests/e2e/test_kills.py",
    "tests/browser/",
    "tests/e2e/test_tunnel.py",
    "tests/e2e/test_metering.py",
    "tests/harden/",
    "tests/e2e/",
    "tests/manage_api/command/",
)
"""What begins with one of these runs before all else: idle workers can share what is short and
many, and not what is long and begun last.
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as cores: one whose test waits for a gateway needs none."""
    cores = os.cpu_count() or 1
    return cores + max(1, cores // 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; what stands together stays together, as it shares gateways."""
    items.sort(key=lambda item: _rank(item.nodeid))


def pytest_collection_finish() -> None:
    """From here on, look for garbage in what the tests make."""
    gc.freeze()
    gc.enable()


def _rank(name: str) -> int:
    ranks = (rank for rank, prefix in enumerate(LONGEST_FIRST) if name.startswith(prefix))
    return next(ranks, len(LONGEST_FIRST))


@pytest.fixture
def provider() -> Iterator[StrictProvider]:
    """A strict provider of the test's own that speaks DeepSeek's dialect and takes the key
    `sk-good`.
    """
    with StrictProvider() as running:
        yield running
