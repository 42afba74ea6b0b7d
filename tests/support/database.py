"""Migrated databases without a migration each: one is made in every test process and copied from then on."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.sqlite import prepare_file

__all__ = ("open_database", "place_database")


def open_database(path: Path) -> Engine:
    """The database in the file, opened as the programs open it; a missing one is empty and migrated already."""
    place_database(path)
    return open_engine(f"sqlite:{path}")


def place_database(path: Path) -> None:
    """Put an empty, migrated database where no file is yet."""
    if not path.exists():
        prepare_file(path)
        path.write_bytes(_template())


@cache
def _template() -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "adapter.db"
        open_engine(f"sqlite:{path}").close()
        # The last connection to close moves the whole write-ahead log into this one file.
        return path.read_bytes()
