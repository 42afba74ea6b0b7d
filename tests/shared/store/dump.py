"""`python -m tests.shared.store.dump FILE` prints a database as SQL, for `schemas/`."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pysqlite3 import dbapi2

from shared.store.sqlite import connect

__all__ = ("dump",)

SCHEMA = """
    SELECT sql FROM sqlite_schema
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'audit_search_%' ORDER BY rowid
"""
TABLES = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
    "'audit_search%' ORDER BY rowid"
)
"""Without the full-text search, which fills itself."""


def dump(connection: dbapi2.Connection) -> Iterator[str]:
    """The statements that make the database again."""
    for (sql,) in connection.execute(SCHEMA):
        yield f"{sql};"
    for (table,) in connection.execute(TABLES).fetchall():
        if table == "sqlite_sequence":
            yield "DELETE FROM sqlite_sequence;"
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        values = " || ', ' || ".join(f"quote({name})" for name in columns)
        for (row,) in connection.execute(f"SELECT {values} FROM {table}"):
            yield f"INSERT INTO {table} VALUES ({row});"


if __name__ == "__main__":
    with closing(connect(Path(sys.argv[1]))) as connection:
        sys.stdout.write("\n".join(dump(connection)) + "\n")
