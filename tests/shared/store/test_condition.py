"""Operators are told what the database is and whether it is whole."""

from pathlib import Path

from shared.store.condition import describe, find_damage
from shared.store.engine import Engine
from tests.support.database import make_unreadable, open_database


def test_a_database_says_what_it_is(engine: Engine, database: str) -> None:
    described = describe(engine, database)
    assert described.engine == {"s": "sqlite", "p": "postgresql"}[database[0]]
    assert described.version[0].isdigit()
    assert described.bytes > 100_000


def test_a_whole_database_is_ok(engine: Engine) -> None:
    assert find_damage(engine) == "ok"


def test_damage_is_found_in_a_file(path: Path) -> None:
    open_database(path).close()
    make_unreadable(path, "learned")
    engine = open_database(path)
    assert find_damage(engine) != "ok"
    engine.close()
