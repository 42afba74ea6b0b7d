"""A gateway process without a socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.addon.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path / "adapter.db")
    yield found
    found.memory.engine.close()
