"""The steps of the schema that several nodes on one database need; never edited once they are
released.
"""

from sqlite_utils import Database

__all__ = (
    "breaks_earlier_programs",
    "described_nodes",
    "installation",
    "processes",
    "shared_limits",
    "tended",
    "turn_changes",
    "versions",
)


def versions(db: Database) -> None:
    """Number the topics of which programs hold a copy in memory."""
    db.execute("""
        CREATE TABLE versions (
            topic TEXT NOT NULL PRIMARY KEY,
            version INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)


def tended(db: Database) -> None:
    """Note when which node last did what one does for all."""
    db.execute("""
        CREATE TABLE tended (
            task TEXT NOT NULL PRIMARY KEY,
            node TEXT NOT NULL,
            at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)


def installation(db: Database) -> None:
    """Note what all nodes must have in common."""
    db.execute("""
        CREATE TABLE installation (
            name TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
    """)


def breaks_earlier_programs(db: Database) -> None:
    """As the end of a step: have programs refuse the database that don't know it."""
    db.execute("""
        INSERT INTO versions (topic, version) VALUES ('schema', 1)
        ON CONFLICT (topic) DO UPDATE SET version = versions.version + 1
    """)


def turn_changes(db: Database) -> None:
    """Note when a turn's body was changed for good, which it seldom is: others may hold the old
    one.
    """
    db.execute("ALTER TABLE recall_turns ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0")
    db.execute("""
        CREATE INDEX recall_turns_changed_at ON recall_turns (changed_at) WHERE changed_at > 0
    """)


def processes(db: Database) -> None:
    """Tell the processes apart that are nodes."""
    # `worker` is the name of one of several processes that share a port; empty for one alone.
    for column in ("host TEXT", "pid INTEGER", "worker TEXT"):
        default = "0" if "INTEGER" in column else "''"
        db.execute(f"ALTER TABLE nodes ADD COLUMN {column} NOT NULL DEFAULT {default}")


def shared_limits(db: Database) -> None:
    """Have all nodes see what requests take of their callers' limits."""
    # How long a bucket takes until it is full, from a time on: both in microseconds.
    db.execute("""
        CREATE TABLE rates (
            subject TEXT NOT NULL,
            rate TEXT NOT NULL CHECK (rate IN ('requests', 'tokens', 'attempts')),
            debt INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (subject, rate)
        ) STRICT, WITHOUT ROWID
    """)
    # Requests that run and are not, or not yet, in the books.
    db.execute("""
        CREATE TABLE tickets (
            ticket TEXT NOT NULL,
            subject TEXT NOT NULL,
            node TEXT NOT NULL,
            PRIMARY KEY (ticket, subject)
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("CREATE INDEX tickets_subject ON tickets (subject)")


def described_nodes(db: Database) -> None:
    """Have each node say by which settings and secret it runs, as fingerprints."""
    for column in ("configuration", "secret"):
        db.execute(f"ALTER TABLE nodes ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
