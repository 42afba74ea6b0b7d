"""The database that both programs share."""

from pathlib import Path

from pysqlite3 import dbapi2

from shared.clock import Clock
from shared.errors import StoreError
from shared.store.engine import Engine
from shared.store.sqlite import SqliteEngine, database_path, prepare_file, remedy
from shared.store.steps import has_all_steps

__all__ = ("data_directory", "open_engine")


def open_engine(database_url: str, clock: Clock | None = None) -> Engine:
    """Open the database of a `DATABASE_URL`, creating and migrating it as needed; `clock` is this
    machine's.

    The calling thread is the one that reads. Raises StoreError, in words, for an invalid
    URL, an unusable file or a newer program's file.
    """
    path = database_path(database_url)
    try:
        prepare_file(path)
        if not has_all_steps(path):
            _migrate(path)
        return SqliteEngine(path, clock=clock)
    except OSError as error:
        raise StoreError(f"Can't open the database {path}: {error.strerror}.") from error
    except dbapi2.Error as error:
        words = f"Can't open the database {path}: {error}. {remedy(error)}"
        raise StoreError(words.rstrip()) from error


def _migrate(path: Path) -> None:
    # What applies steps is loaded where one is missing: at a start, the launcher does that.
    from shared.store.migrations import migrate

    migrate(path)


def data_directory(database_url: str) -> Path:
    """Return the directory of the database and the secrets, which may not exist yet."""
    return database_path(database_url).parent
