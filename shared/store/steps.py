"""The names of the schema's steps: a database that has them all needs nothing of what applies them,
which would stay in the memory of each program.

A database may have steps that a program does not know: while nodes are updated one after the
other, those that are still to be must go on, and start again if they die. So a change is made in
two steps: one that adds, which earlier programs can live with, and in a later version one that
takes away, which is marked as breaking.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from pysqlite3 import dbapi2

from shared.store.sqlite import connect

__all__ = ("BREAKING", "FIND_BREAKING", "PATIENCE_MS", "STEPS", "has_all_steps", "refused_step")

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
    "tended",
    "turn_changes",
    "processes",
    "shared_limits",
    "installation",
    "described_nodes",
)

BREAKING = 0
"""How many of these call `breaks_earlier_programs`."""

FIND_BREAKING = "SELECT version FROM versions WHERE topic = 'schema'"
"""How many of a database's steps were marked as breaking; no row: none."""

PATIENCE_MS = 60_000
"""How long one program waits for another's migration."""


def refused_step(applied: Iterable[str], breaking: int) -> str:
    """The first of the steps applied that this program does not know, if so many breaking ones
    mean that it can't use the database; else empty.
    """
    unknown = [name for name in applied if name not in STEPS]
    return unknown[0] if unknown and breaking > BREAKING else ""


def has_all_steps(path: Path) -> bool:
    """Whether the database file has these steps and none that keeps this program from using it,
    and can be written; waits while another program migrates it.
    """
    with closing(connect(path, patience_ms=PATIENCE_MS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        applied = _applied(connection)
        has_all = applied >= set(STEPS)
        if has_all:
            breaking = sum(count for (count,) in connection.execute(FIND_BREAKING))
            has_all = not refused_step(applied, breaking)
            # SQLite opens a file that it can't write all the same, and says so at the first write.
            connection.execute("DELETE FROM _sqlite_migrations WHERE 0")
        connection.execute("COMMIT")
    return has_all


def _applied(connection: dbapi2.Connection) -> set[str]:
    """As sqlite-utils notes them."""
    table = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlite_migrations'"
    if connection.execute(table).fetchone() == (0,):
        return set()
    names = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'thinkback'"
    return {name for (name,) in connection.execute(names)}
