"""The schema, as append-only named steps: a released step is never edited, a change is a new step at the end.

Times are integers of epoch milliseconds, truth is 0 or 1.
"""

from pathlib import Path

from sqlite_utils import Database, Migrations

from shared.errors import StoreError
from shared.store.sqlite import connect

__all__ = ("MIGRATIONS", "migrate", "step_names")

PATIENCE_MS = 60_000
"""How long one program waits for another's migration."""

MIGRATIONS = Migrations("thinkback")


@MIGRATIONS()
def accounts(db: Database) -> None:
    # AUTOINCREMENT: the id of a deleted user is never given again; sessions and remembered reasoning are bound to it.
    db.execute("""
        CREATE TABLE users (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            username TEXT NOT NULL UNIQUE COLLATE NOCASE,
            password_hash TEXT NOT NULL,
            role TEXT NOT NULL CHECK (role IN ('admin', 'user')),
            disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
            epoch INTEGER NOT NULL DEFAULT 0,
            must_change_password INTEGER NOT NULL DEFAULT 0 CHECK (must_change_password IN (0, 1)),
            created_at INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE virtual_keys (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
            suffix TEXT NOT NULL,
            scope TEXT NOT NULL CHECK (scope IN ('inference', 'admin')),
            created_at INTEGER NOT NULL,
            expires_at INTEGER,
            revoked_at INTEGER
        ) STRICT
    """)
    db.execute("CREATE INDEX virtual_keys_user_id ON virtual_keys (user_id)")


@MIGRATIONS()
def recall(db: Database) -> None:
    db.execute("""
        CREATE TABLE recall_turns (
            token TEXT NOT NULL PRIMARY KEY,
            namespace BLOB NOT NULL,
            parent TEXT,
            complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
            body BLOB NOT NULL,
            bytes INTEGER NOT NULL CHECK (bytes >= 0),
            created_at INTEGER NOT NULL,
            used_at INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX recall_turns_used_at ON recall_turns (used_at)")
    db.execute("""
        CREATE TABLE recall_keys (
            key BLOB NOT NULL,
            token TEXT NOT NULL REFERENCES recall_turns (token) ON DELETE CASCADE,
            PRIMARY KEY (key, token)
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("CREATE INDEX recall_keys_token ON recall_keys (token)")
    db.execute("""
        CREATE TABLE recall_sent (
            key BLOB NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            used_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("CREATE INDEX recall_sent_used_at ON recall_sent (used_at)")


@MIGRATIONS()
def learned(db: Database) -> None:
    db.execute("""
        CREATE TABLE learned (
            endpoint TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            learned_at INTEGER NOT NULL
        ) STRICT
    """)


def migrate(path: Path) -> None:
    """Bring the database file up to date; programs that start at once wait for each other.

    Raises StoreError when a newer program has migrated the file.
    """
    connection = connect(path, patience_ms=PATIENCE_MS)
    database = Database(connection, execute_plugins=False)
    try:
        # sqlite-utils looks before it locks: without a lock around the whole, two programs create the same table.
        connection.execute("BEGIN IMMEDIATE")
        _refuse_newer(database, path)
        MIGRATIONS.apply(database)
        connection.execute("COMMIT")
    finally:
        connection.close()


def step_names() -> list[str]:
    """The steps this program knows, in order."""
    with Database(memory=True) as empty:
        return [step.name for step in MIGRATIONS.pending(empty)]


def _refuse_newer(database: Database, path: Path) -> None:
    unknown = [step.name for step in MIGRATIONS.applied(database) if step.name not in step_names()]
    if unknown:
        raise StoreError(
            f"The database {path} was made by a newer Thinkback (it has the change “{unknown[0]}”): "
            "install that version, or restore a backup made before it."
        )
