"""PostgreSQL's schema is SQLite's, made once whoever comes first."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from shared.errors import StoreError
from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.recall import forget_old, keep_sent, keep_turn, kept_bytes, turns_kept
from tests.support.postgres import empty_database, make_database, wipe

DAY_MS = 86_400_000
COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'thinkback_steps'
        AND (table_name, column_name) <> ('recall_days', 'slot')
"""
LITE = """
    SELECT tables.name, columns.name FROM sqlite_schema AS tables
    JOIN pragma_table_info(tables.name) AS columns
    WHERE tables.type = 'table' AND tables.name NOT LIKE '%sqlite%'
        AND tables.name NOT LIKE 'audit_search%'
"""


def test_it_has_the_columns_that_sqlite_has(tmp_path: Path) -> None:
    with (
        closing(open_engine(empty_database())) as engine,
        closing(open_engine(f"sqlite:{tmp_path / 'a.db'}")) as lite,
    ):
        assert sorted(engine.read(COLUMNS)) == sorted(lite.read(LITE))


def test_programs_that_start_at_once_migrate_once() -> None:
    url = make_database("at_once")
    with ThreadPoolExecutor(4) as pool:
        for engine in pool.map(open_engine, [url] * 4):
            engine.close()


def test_a_failure_leaves_nothing_half_made() -> None:
    url = make_database("half")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE versions (x int)")
        with pytest.raises(StoreError, match="already exists"):
            open_engine(url)
        assert connection.execute("SELECT to_regclass('users')").fetchone() == (None,)


def test_who_may_make_no_tables_is_told_so() -> None:
    url = make_database("closed")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
        with pytest.raises(StoreError, match="must be allowed to create tables"):
            open_engine(url.replace("user=thinkback", "user=guest"))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (username, password_hash, role, created_at) VALUES ('a', '-', 'x', 1)",
        "INSERT INTO recall_keys (key, turn) VALUES ('k', 99)",
        "INSERT INTO spending VALUES ('user:1', 'day', 1, -1, 0)",
    ],
)
def test_the_database_itself_refuses_what_makes_no_sense(statement: str) -> None:
    with (
        psycopg.connect(empty_database(), autocommit=True) as connection,
        pytest.raises(psycopg.IntegrityError),
    ):
        connection.execute(statement)


def test_what_is_kept_is_known_without_reading_it_whoever_wrote_it() -> None:
    wipe(empty_database())
    with (
        closing(open_engine(empty_database())) as engine,
        closing(open_engine(empty_database())) as other,
    ):
        for program, token in ((engine, "a"), (other, "b"), (engine, "c")):
            program.try_write([_turn(token), keep_sent(token.encode(), "omit", DAY_MS)])
        kept = turns_kept(engine, DAY_MS)
        assert (kept.turns, kept.bytes) == (3, 3 * 110 + 3 * 58 + _bytes(engine))
        other.try_write(forget_old(unused_since=2 * DAY_MS, max_bytes=2**40))
        assert (kept_bytes(engine), turns_kept(engine, DAY_MS).turns) == (0, 0)


def _turn(token: str) -> tuple[str, dict[str, object]]:
    sql, params = keep_turn(
        token=token, namespace=b"n", complete=True, length=4, body=b"body", now=DAY_MS
    )
    return sql, dict(params)


def _bytes(engine: Engine) -> int:
    [(size,)] = engine.read("SELECT sum(length(body)) FROM recall_turns")
    return int(size)
