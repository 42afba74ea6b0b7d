"""A real database for every test, of both engines where it is about none of them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.postgres import PostgresEngine
from shared.store.postgres_connections import Connections
from shared.store.sqlite import SqliteEngine, connect
from tests.support.database import place_database
from tests.support.postgres import empty_database, wipe


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be."""
    return tmp_path / "data" / "adapter.db"


@pytest.fixture
def file(path: Path) -> str:
    """The URL of a migrated SQLite database without rows."""
    place_database(path)
    return f"sqlite:{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database without rows; without PostgreSQL the test fails."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("file"))
    wipe(empty_database())
    return empty_database()


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """The database, as the programs open it."""
    with closing(open_engine(database)) as engine:
        yield engine


@pytest.fixture
def other(engine: Engine, path: Path) -> Iterator[dbapi2.Connection]:
    """A connection as another program would have it."""
    connection = connect(path)
    yield connection
    connection.close()


@pytest.fixture
def beside(engine: Engine, database: str, path: Path) -> Iterator[Engine]:
    """The same database as another node has it, which waits for nobody."""
    beside: Engine
    if engine.remote:
        beside = PostgresEngine(Connections(database), patience_ms=1)
    else:
        beside = SqliteEngine(path, patience_ms=0)
    yield beside
    beside.close()


@pytest.fixture
def hasty(engine: Engine, path: Path) -> Iterator[SqliteEngine]:
    """An engine that waits 50 ms for other programs."""
    hasty = SqliteEngine(path, patience_ms=50)
    yield hasty
    hasty.close()
