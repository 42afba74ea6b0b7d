"""What the tests of commands begin with."""

from pathlib import Path

import pytest

from tests.support.database import place_database


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A migrated database where a gateway keeps it."""
    place_database(tmp_path / "data" / "adapter.db")
    return f"sqlite:{tmp_path}/data/adapter.db"
