"""A database is copied into one of the other engine and back, whole, after interruptions too."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.store import open_engine
from shared.store.copying import (
    TABLES,
    CopyError,
    copy_rows,
    count_rows,
    refuse_unfit,
    verify_copy,
)
from shared.store.engine import Engine
from shared.store.nodes import beat
from shared.store.steps import STEPS
from tests.shared.store.earlier import restore
from tests.shared.store.learned import learn
from tests.support.postgres import empty_database, wipe

NOW = 2_000_000_000_000

OWN = {"installation", "rates", "recall_days", "tended", "tickets", "versions"}
"""What triggers keep, what a database notes of itself, and what requests of this minute hold."""


@pytest.fixture
def source(path: Path) -> Iterator[Engine]:
    """With a row in every table, and more than a lot in one."""
    path.parent.mkdir()
    restore(STEPS[-1], path)
    with closing(open_engine(f"sqlite:{path}")) as engine:
        engine.try_write([learn(f"{number:04}", "a\0b") for number in range(450)])
        yield engine


@pytest.fixture
def target() -> Iterator[Engine]:
    wipe(empty_database())
    with closing(open_engine(empty_database())) as engine:
        yield engine


def copy(source: Engine, target: Engine) -> int:
    refuse_unfit(source, target, NOW)
    copied = sum(copy_rows(source, target))
    assert sum(verify_copy(source, target)) == copied
    return copied


def test_every_table_is_copied_but_what_is_kept_by_itself(source: Engine) -> None:
    tables = source.read(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%sqlite%' "
        "AND name NOT LIKE 'audit_search%'"
    )
    assert {name for (name,) in tables} == TABLES.keys() | OWN


def test_all_rows_come_over_and_back(source: Engine, target: Engine, tmp_path: Path) -> None:
    assert copy(source, target) == count_rows(source) == 450 + len(TABLES)
    days = "SELECT day, sum(turns), sum(bytes) FROM recall_days GROUP BY day"
    assert target.read(days) == source.read(days)
    with closing(open_engine(f"sqlite:{tmp_path / 'back.db'}")) as back:
        assert copy(target, back) == count_rows(source)


def test_the_number_of_a_deleted_account_is_not_given_again(source: Engine, target: Engine) -> None:
    source.try_write([("DELETE FROM users", {})])
    copy(source, target)
    add = """
        INSERT INTO users (username, password_hash, role, created_at)
        VALUES ('new', '-', 'user', 1) RETURNING id
    """
    assert target.transact(lambda work: work.run(add), alone=()) == [(2,)]


def test_a_copy_that_was_interrupted_goes_on(source: Engine, target: Engine) -> None:
    refuse_unfit(source, target, NOW)
    copying = copy_rows(source, target)
    while target.read("SELECT count(*) FROM learned") != [(200,)]:
        next(copying)
    with pytest.raises(CopyError, match="not the same"):
        list(verify_copy(source, target))
    assert copy(source, target) == count_rows(source)


def test_rows_that_were_changed_meanwhile_are_found(source: Engine, target: Engine) -> None:
    refuse_unfit(source, target, NOW)
    list(copy_rows(source, target))
    target.try_write([("UPDATE learned SET value = 'other' WHERE endpoint = '0300'", {})])
    with pytest.raises(CopyError, match="rows of learned"):
        list(verify_copy(source, target))


def test_a_database_in_use_or_with_rows_is_refused(source: Engine, target: Engine) -> None:
    target.try_write([learn("mine")])
    with pytest.raises(CopyError, match="not empty"):
        refuse_unfit(source, target, NOW)
    source.try_write([beat("n", "1", NOW, NOW)])
    with pytest.raises(CopyError, match="stop all of them"):
        refuse_unfit(source, target, NOW)
