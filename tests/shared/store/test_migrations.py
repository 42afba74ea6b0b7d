"""The schema grows from every earlier one, once, whoever comes first.

`schemas/<step>.sql` is what that step changed in the database of the step before it, in plain
SQL, and a row for every table that it made. Run up to a step, the files make the database a
program left whose last step was that one. A new step gets a file of its own; none is edited
once its step is released.
"""

from contextlib import closing
from pathlib import Path

import pytest
from pysqlite3 import dbapi2
from sqlite_utils import Database

from shared.errors import StoreError
from shared.store.many_nodes import breaks_earlier_programs
from shared.store.migrations import migrate, step_names
from shared.store.sqlite import connect, prepare_file
from shared.store.steps import BREAKING, FIND_BREAKING
from tests.shared.processes import run_together
from tests.shared.store.earlier import SCHEMAS, restore

TABLES = """
    SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE '%sqlite%' AND name NOT LIKE 'audit_search_%'
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "adapter.db"
    prepare_file(path)
    return path


def schema(path: Path) -> set[tuple[str, str]]:
    with closing(connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.split())) for name, sql in rows}


def add_breaking_step(path: Path) -> None:
    """What the step of a newer program does that this one can't live with."""
    with closing(connect(path)) as connection:
        breaks_earlier_programs(Database(connection, execute_plugins=False))


def row_counts(path: Path) -> dict[str, int]:
    with closing(connect(path)) as connection:
        tables = [name for (name,) in connection.execute(TABLES)]
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in tables
        }


def test_every_step_has_the_database_it_left() -> None:
    assert {file.stem for file in SCHEMAS.iterdir()} == set(step_names())


@pytest.mark.parametrize("step", step_names())
def test_every_earlier_database_is_brought_up_to_date_with_its_rows(
    step: str, path: Path, tmp_path: Path
) -> None:
    restore(step, path)
    before = row_counts(path)
    migrate(path)
    fresh = tmp_path / "fresh.db"
    migrate(fresh)
    assert schema(path) == schema(fresh)
    assert before.items() <= row_counts(path).items()
    assert set(before.values()) == {1}


def test_migrating_again_changes_nothing(path: Path) -> None:
    migrate(path)
    before = schema(path)
    migrate(path)
    assert schema(path) == before


def test_programs_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    code = (
        "import sys; from shared.store import open_engine; begin(); "
        "open_engine(sys.argv[1]).close()"
    )
    path = tmp_path / "data" / "adapter.db"
    run_together(8, code, f"sqlite:{path}")
    with closing(connect(path)) as connection:
        applied = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
    assert [name for (name,) in applied] == step_names()


def test_24_a_newer_programs_database_is_refused_in_words_only_if_it_can_not_be_used(
    path: Path,
) -> None:
    migrate(path)
    with closing(connect(path)) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('thinkback', 'ledger', '')"
        )
    migrate(path)
    add_breaking_step(path)
    with pytest.raises(StoreError, match=r"made by a newer Thinkback .*“ledger”"):
        migrate(path)


def test_steps_that_break_earlier_programs_are_counted(path: Path) -> None:
    migrate(path)
    with closing(connect(path)) as connection:
        assert sum(count for (count,) in connection.execute(FIND_BREAKING)) == BREAKING


def test_all_tables_are_strict(path: Path) -> None:
    migrate(path)
    with closing(connect(path)) as connection:
        lists = connection.execute("""
            SELECT name, strict FROM pragma_table_list
            WHERE type = 'table' AND name NOT LIKE '%sqlite%' AND name NOT LIKE 'audit_search%'
        """)
        assert {strict for _, strict in lists} == {1}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET role = 'owner'",
        "UPDATE users SET disabled = 2",
        "UPDATE users SET created_at = 'today'",
        "UPDATE users SET username = NULL",
        "UPDATE virtual_keys SET scope = 'all'",
        "UPDATE virtual_keys SET digest = 'sk-clear'",
        "UPDATE virtual_keys SET user_id = 99",
        "UPDATE recall_keys SET turn = 99",
        "UPDATE recall_turns SET complete = 7",
        "UPDATE users SET quota_tokens = -1",
        "UPDATE virtual_keys SET period = 'year'",
        "UPDATE spending SET tokens = -1",
        "UPDATE ledger SET cost_micros = -1",
        "UPDATE prices SET input_micros = -1",
    ],
)
def test_the_database_itself_refuses_what_makes_no_sense(statement: str, path: Path) -> None:
    restore(step_names()[-1], path)
    with closing(connect(path)) as connection, pytest.raises(dbapi2.IntegrityError):
        connection.execute(statement)


def test_what_belongs_to_a_row_goes_with_it_and_nothing_else(path: Path) -> None:
    restore(step_names()[-1], path)
    before = row_counts(path)
    with closing(connect(path)) as connection:
        connection.execute("DELETE FROM users")
        connection.execute("DELETE FROM recall_turns")
    gone = {name for name, count in row_counts(path).items() if count < before[name]}
    of_users = {"users", "virtual_keys", "second_factors", "recovery_codes"}
    assert gone == of_users | {"recall_turns", "recall_keys"}


def test_what_users_asked_is_found_by_any_part_of_it_until_it_is_deleted(path: Path) -> None:
    restore(step_names()[-1], path)
    find = "SELECT rowid FROM audit_search WHERE audit_search MATCH '修复这'"
    with closing(connect(path)) as connection:
        assert connection.execute(find).fetchall() == [(1,)]
        connection.execute("DELETE FROM audit")
        assert connection.execute(find).fetchall() == []


def test_a_deleted_users_id_is_not_given_again(path: Path) -> None:
    restore(step_names()[-1], path)
    with closing(connect(path)) as connection:
        connection.execute("DELETE FROM users")
        connection.execute(
            "INSERT INTO users (username, password_hash, role, created_at) VALUES "
            "('next', 'hash', 'user', 1)"
        )
        assert connection.execute("SELECT id FROM users").fetchall() == [(2,)]
