"""A PostgreSQL database is opened ready for use, or refused in words."""

from contextlib import closing

import psycopg
import pytest

from shared.errors import StoreError
from shared.store import open_engine
from shared.store.postgres_opening import open_postgres
from shared.store.steps import STEPS
from tests.support.postgres import empty_database, make_database

STEPS_OF = "SELECT name FROM thinkback_steps"


def test_an_empty_database_gets_all_steps_and_one_that_has_them_no_more() -> None:
    url = make_database("fresh")
    for _ in range(2):
        with closing(open_postgres(url)) as engine:
            assert {name for (name,) in engine.read(STEPS_OF)} == set(STEPS)


def test_a_database_that_is_not_there_is_refused_in_words() -> None:
    url = empty_database().replace("/thinkback?", "/nowhere?")
    with pytest.raises(StoreError, match='"nowhere" does not exist'):
        open_engine(url)


def test_a_url_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(StoreError, match=r"can't be reached now .*port"):
        open_engine("postgresql://localhost:port/x")


def test_a_newer_programs_database_is_refused_in_words_if_it_lacks_something() -> None:
    url = make_database("newer")
    open_engine(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO thinkback_steps VALUES ('later', 1)")
        open_engine(url).close()
        connection.execute("INSERT INTO versions VALUES ('schema', 1)")
    with pytest.raises(StoreError, match=r"made by a newer Thinkback .*“later”"):
        open_engine(url)
