"""A gateway's memory over a real database file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.addon.recall.chat import Memory


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    found = Memory(tmp_path / "adapter.db")
    yield found
    found.engine.close()
