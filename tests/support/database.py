"""Migrated databases without a migration each: one is made in every test process and copied from then on."""

import ctypes
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.clock import Clock, SystemClock
from shared.store import open_engine
from shared.store.bootstrap import ensure_admin
from shared.store.engine import Engine
from shared.store.sqlite import connect, prepare_file

__all__ = ("full_disk", "make_unreadable", "open_database", "place_database", "without_override")

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1
"""From linux/prctl.h and linux/capability.h."""

_FULL_AT = 4096
"""Bytes: less than the first frame of a write-ahead log, more than a test writes to its log."""

_PAGE_BYTES = 4096


def open_database(path: Path, clock: Clock | None = None) -> Engine:
    """The database in the file, opened as the programs open it; a missing one is empty and migrated already."""
    place_database(path)
    return open_engine(f"sqlite:{path}", clock)


def place_database(path: Path, password: str = "") -> None:
    """Put a migrated database where no file is yet: an empty one, or with the first account if its
    password is given.
    """
    if not path.exists():
        prepare_file(path)
        path.write_bytes(_template(password))


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process takes more than a few bytes meanwhile: every commit fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FULL_AT, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def make_unreadable(path: Path, *tables: str) -> None:
    """Damage these tables and their indexes in a closed database: whoever reads one row of them fails."""
    with closing(connect(path)) as connection:
        roots = connection.execute(
            "SELECT tbl_name, rootpage FROM sqlite_schema WHERE rootpage > 0"
        ).fetchall()
    with path.open("r+b") as file:
        for table, root in roots:
            if table in tables:
                file.seek((root - 1) * _PAGE_BYTES)
                file.write(b"\xff" * _PAGE_BYTES)


def without_override() -> None:
    """Run in a child before its program, it has the modes of files bind that also for root."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE)


@cache
def _template(password: str) -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "adapter.db"
        with closing(open_engine(f"sqlite:{path}")) as engine:
            if password:
                ensure_admin(engine, password=password, now=SystemClock().now_ms())
        # The last connection to close moves the whole write-ahead log into this one file.
        return path.read_bytes()
