"""The database that both programs share."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from pysqlite3 import dbapi2

from shared.clock import Clock
from shared.errors import StoreError
from shared.store.engine import Engine
from shared.store.sqlite import SqliteEngine, database_path, prepare_file, remedy
from shared.store.steps import has_all_steps

__all__ = ("data_directory", "is_postgres", "open_engine")

_SCHEMES = frozenset({"postgresql", "postgres"})


def is_postgres(database_url: str) -> bool:
    """Whether a `DATABASE_URL` names a PostgreSQL database."""
    return urlsplit(database_url).scheme in _SCHEMES


def open_engine(database_url: str, clock: Clock | None = None) -> Engine:
    """Open the database of a `DATABASE_URL`, creating and migrating it as needed; `clock` is this
    machine's.

    The calling thread is the one that reads. Raises StoreError, in words, for an invalid
    URL, an unusable file, a database that can't be reached or a newer program's one.
    """
    if is_postgres(database_url):
        return _open_postgres(database_url)
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


def _open_postgres(database_url: str) -> Engine:
    try:
        from shared.store.postgres_opening import open_postgres
    except ImportError as error:
        raise StoreError(
            "PostgreSQL needs a driver that is not installed: add the extra “postgres” to the "
            "installation (docs/operating.md)."
        ) from error
    return open_postgres(database_url)


def data_directory(database_url: str) -> Path:
    """Return the directory of the secrets and of all else that is this machine's, which may not
    exist yet: a database file's own, or `DATA_DIR` beside a database elsewhere.
    """
    if is_postgres(database_url):
        return Path(os.environ.get("DATA_DIR") or "data").absolute()
    return database_path(database_url).parent
