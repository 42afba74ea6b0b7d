"""The database both programs share."""

from pathlib import Path

from pysqlite3 import dbapi2

from shared.errors import StoreError
from shared.store.engine import Engine
from shared.store.migrations import migrate
from shared.store.sqlite import SqliteEngine, database_path, prepare_file

__all__ = ("data_directory", "open_engine")


def open_engine(database_url: str) -> Engine:
    """Open the database of a `DATABASE_URL`, made and migrated where needed; the calling
    thread is the one that reads.

    Raises StoreError, in words, for a URL that isn't understood, a file that can't be used,
    or a newer program's file.
    """
    path = database_path(database_url)
    try:
        prepare_file(path)
        migrate(path)
        return SqliteEngine(path)
    except OSError as error:
        raise StoreError(f"The database {path} can't be opened: {error.strerror}.") from error
    except dbapi2.Error as error:
        raise StoreError(f"The database {path} can't be opened: {error}.") from error


def data_directory(database_url: str) -> Path:
    """The directory of the database file, where the programs' secrets live too; it may not
    exist yet.
    """
    return database_path(database_url).parent
