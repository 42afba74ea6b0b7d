import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from shared.store.migrations import step_names
from shared.store.sqlite import connect, prepare_file
from shared.store.steps import BREAKING, STEPS, has_all_steps
from tests.support.database import place_database

OPEN = """
import sys
from shared.store import open_engine
open_engine(sys.argv[1]).close()
print("sqlite_utils" in sys.modules)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place_database(tmp_path / "adapter.db")
    return tmp_path / "adapter.db"


def loads_what_migrates(path: Path) -> bool:
    command = [sys.executable, "-c", OPEN, f"sqlite:{path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout == "True\n"


def test_the_names_are_those_of_the_steps() -> None:
    assert list(STEPS) == step_names()


def test_only_a_database_that_lacks_a_step_has_what_migrates_loaded(path: Path) -> None:
    assert not loads_what_migrates(path)
    assert loads_what_migrates(path.with_name("new.db"))


def test_an_empty_database_has_none_and_a_step_that_is_missing_is_missed(path: Path) -> None:
    empty = path.with_name("empty.db")
    prepare_file(empty)
    assert (has_all_steps(empty), has_all_steps(path)) == (False, True)
    with closing(connect(path)) as connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = ?", [STEPS[-1]])
    assert not has_all_steps(path)


def test_24_a_step_of_a_newer_program_is_no_fault_unless_it_is_marked_as_breaking(
    path: Path,
) -> None:
    with closing(connect(path)) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('thinkback', 'later', '')"
        )
        assert has_all_steps(path)
        connection.execute(
            "INSERT INTO versions (topic, version) VALUES ('schema', ?)", [BREAKING + 1]
        )
        assert not has_all_steps(path)


def test_a_database_with_a_step_that_nobody_knows_has_not_these(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute(
            "UPDATE _sqlite_migrations SET name = 'later' WHERE name = ?", [STEPS[-1]]
        )
    assert not has_all_steps(path)
