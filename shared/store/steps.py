"""The names of the schema's steps: a database that has them all needs nothing of what applies them,
which would stay in the memory of each program.
"""

from contextlib import closing
from pathlib import Path

from pysqlite3 import dbapi2

from shared.store.sqlite import connect

__all__ = ("PATIENCE_MS", "STEPS", "has_all_steps")

STEPS = (
    "accounts",
    "recall",
    "learned",
    "metering",
    "audit",
    "administration",
    "answers",
    "conversations",
    "mirror",
    "compact_recall",
    "second_factors",
    "upstream_models",
    "versions",
    "folded_names",
)

PATIENCE_MS = 60_000
"""How long one program waits for another's migration."""


def has_all_steps(path: Path) -> bool:
    """Whether the database file has these steps and no others, and can be written; waits while
    another program migrates it.
    """
    with closing(connect(path, patience_ms=PATIENCE_MS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        applied = _applied(connection)
        if applied == set(STEPS):
            # SQLite opens a file that it can't write all the same, and says so at the first write.
            connection.execute("DELETE FROM _sqlite_migrations WHERE 0")
        connection.execute("COMMIT")
    return applied == set(STEPS)


def _applied(connection: dbapi2.Connection) -> set[str]:
    """As sqlite-utils notes them."""
    table = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlite_migrations'"
    if connection.execute(table).fetchone() == (0,):
        return set()
    names = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'thinkback'"
    return {name for (name,) in connection.execute(names)}
