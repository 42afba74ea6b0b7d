"""A real database file for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from shared.store.engine import Engine
from shared.store.sqlite import SqliteEngine, connect
from tests.support.database import open_database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be."""
    return tmp_path / "data" / "adapter.db"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    """A migrated database, as the programs open it."""
    engine = open_database(path)
    yield engine
    engine.close()


@pytest.fixture
def other(engine: Engine, path: Path) -> Iterator[dbapi2.Connection]:
    """A connection as another program would have it."""
    connection = connect(path)
    yield connection
    connection.close()


@pytest.fixture
def beside(engine: Engine, path: Path) -> Iterator[Engine]:
    """The same database as another node has it, which waits for nobody."""
    beside = SqliteEngine(path, patience_ms=0)
    yield beside
    beside.close()


@pytest.fixture
def hasty(engine: Engine, path: Path) -> Iterator[SqliteEngine]:
    """An engine that waits 50 ms for other programs."""
    hasty = SqliteEngine(path, patience_ms=50)
    yield hasty
    hasty.close()
