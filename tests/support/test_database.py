"""What is copied is what a migration makes, and nobody's database is overwritten."""

from pathlib import Path

from shared.store import open_engine
from shared.store.engine import Engine
from tests.support.database import open_database

TABLES = "SELECT name, sql FROM sqlite_schema ORDER BY name"
STEPS = "SELECT name FROM _sqlite_migrations ORDER BY id"


def test_a_new_database_is_the_one_that_the_programs_make(tmp_path: Path) -> None:
    def contents(engine: Engine) -> list[object]:
        return [engine.read(sql) for sql in (TABLES, STEPS, "PRAGMA journal_mode")]

    copied, migrated = (
        open_database(tmp_path / "copied.db"),
        open_engine(f"sqlite:{tmp_path}/migrated.db"),
    )

    assert contents(copied) == contents(migrated)
    copied.close()
    migrated.close()


def test_what_is_there_is_opened_as_it_is(tmp_path: Path) -> None:
    first = open_database(tmp_path / "adapter.db")
    first.try_write([("INSERT INTO learned VALUES ('a', 'b', 1)", {})])
    first.close()

    again = open_database(tmp_path / "adapter.db")

    assert again.read("SELECT endpoint FROM learned") == [("a",)]
    again.close()
