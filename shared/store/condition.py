"""What a database is and whether it is whole, for operators."""

from contextlib import suppress
from pathlib import Path

import msgspec
from pysqlite3 import dbapi2

from shared.errors import StoreError
from shared.store.engine import Engine
from shared.store.sqlite import database_path

__all__ = ("Description", "describe", "find_damage")

_MAX_FINDINGS = 10
"""Damage that a person is shown: more would not change what to do."""

_CHECKSUMS = """
    SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()
"""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A database, as operators see it."""

    engine: str
    """`sqlite` or `postgresql`."""

    version: str
    bytes: int
    log_bytes: int
    """What its write-ahead log takes beside it, where that is its own."""


def describe(engine: Engine, database_url: str) -> Description:
    """Describe the database. Raises StoreError."""
    name = engine.dialect.name
    if engine.remote:
        sql = "SELECT current_setting('server_version'), pg_database_size(current_database())"
        [(version, size)] = engine.read(sql)
        return Description(engine=name, version=version, bytes=size, log_bytes=0)
    path = database_path(database_url)
    return Description(
        engine=name,
        version=dbapi2.sqlite_version,
        bytes=_size(path),
        log_bytes=_size(Path(f"{path}-wal")),
    )


def find_damage(engine: Engine) -> str:
    """Return `ok`, or what is damaged; reads the whole of a SQLite file, and takes the word of a
    PostgreSQL server, which knows what its checksums have found.
    """
    try:
        if engine.remote:
            [(failures,)] = engine.read(_CHECKSUMS)
            return f"{failures} pages had a wrong checksum" if failures else "ok"
        rows = engine.read(f"PRAGMA quick_check({_MAX_FINDINGS})")
    except StoreError as error:
        return str(error)
    return "; ".join(str(finding) for (finding,) in rows)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
