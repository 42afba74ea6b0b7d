"""The step of the schema after which remembered turns take half the space; never edited once
it is released.
"""

from sqlite_utils import Database

__all__ = ("TABLES", "compact_recall")


TABLES = (
    """
        CREATE TABLE recall_turns (
            id INTEGER PRIMARY KEY,
            token TEXT NOT NULL UNIQUE,
            namespace BLOB NOT NULL,
            complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
            length INTEGER NOT NULL CHECK (length >= 0),
            bytes INTEGER NOT NULL CHECK (bytes >= 0),
            used_at INTEGER NOT NULL,
            body BLOB NOT NULL
        ) STRICT
    """,
    """
        CREATE TABLE recall_keys (
            key BLOB NOT NULL,
            turn INTEGER NOT NULL REFERENCES recall_turns (id) ON DELETE CASCADE,
            PRIMARY KEY (key, turn)
        ) STRICT, WITHOUT ROWID
    """,
    """
        CREATE TABLE recall_sent (
            key BLOB NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            used_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """,
)
"""What both databases have of them."""


def compact_recall(db: Database) -> None:
    """Move all rows into tables that take half the space."""
    # Keys name their turn by a small number: its token stood in the table and in the index of
    # each key. Keys of 10 bytes are enough: of a billion turns hardly two have the same one.
    for table in ("recall_turns", "recall_keys", "recall_sent"):
        db.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    # `length` is the body's before its compression, `bytes` is what the turn takes with its keys.
    for table in TABLES:
        db.execute(table)
    # What was last used on a day (since 1970) and takes how much: the sum is known without
    # reading the turns.
    db.execute("""
        CREATE TABLE recall_days (
            day INTEGER PRIMARY KEY,
            turns INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("""
        INSERT INTO recall_turns
        SELECT rowid, token, namespace, complete, length(body),
            110 + length(body) + (length(body) % 4096) * (length(body) % 4096) / 8192 + 42 * (
                SELECT count(*) FROM recall_keys_before AS keys WHERE keys.token = turns.token
            ), used_at, body
        FROM recall_turns_before AS turns ORDER BY rowid
    """)
    db.execute("""
        INSERT INTO recall_keys SELECT DISTINCT substr(keys.key, 1, 10), turns.id
        FROM recall_keys_before AS keys JOIN recall_turns AS turns ON turns.token = keys.token
        ORDER BY 1, 2
    """)
    db.execute("""
        INSERT INTO recall_sent SELECT substr(key, 1, 10), value, max(used_at)
        FROM recall_sent_before GROUP BY 1 ORDER BY 1
    """)
    db.execute("""
        INSERT INTO recall_days SELECT day, sum(turns), sum(bytes) FROM (
            SELECT used_at / 86400000 AS day, 1 AS turns, bytes FROM recall_turns
            UNION ALL SELECT used_at / 86400000, 0, 54 + length(value) FROM recall_sent
        ) AS rows GROUP BY 1
    """)
    for table in ("recall_keys", "recall_turns", "recall_sent"):
        db.execute(f"DROP TABLE {table}_before")
    db.execute("CREATE INDEX recall_turns_used_at ON recall_turns (used_at)")
    db.execute("CREATE INDEX recall_keys_turn ON recall_keys (turn)")
    db.execute("CREATE INDEX recall_sent_used_at ON recall_sent (used_at)")
    _sum_up("recall_turn", "recall_turns", turns="1", size="{row}.bytes", db=db)
    _sum_up("recall_sent", "recall_sent", turns="0", size="54 + length({row}.value)", db=db)


def _sum_up(name: str, table: str, *, turns: str, size: str, db: Database) -> None:
    """Let triggers keep the sums of `recall_days` for the rows of the table."""
    day = "{row}.used_at / 86400000"
    add = f"""
        INSERT INTO recall_days (day, turns, bytes) VALUES ({day}, {turns}, {size})
            ON CONFLICT (day) DO UPDATE SET turns = turns + excluded.turns,
                bytes = bytes + excluded.bytes;
    """.format(row="new")  # noqa: S608 - ours
    take = f"""
        UPDATE recall_days SET turns = turns - {turns}, bytes = bytes - ({size})
            WHERE day = {day};
    """.format(row="old")  # noqa: S608 - ours
    db.execute(f"CREATE TRIGGER {name}_added AFTER INSERT ON {table} BEGIN {add} END")
    db.execute(f"CREATE TRIGGER {name}_deleted AFTER DELETE ON {table} BEGIN {take} END")
    db.execute(f"CREATE TRIGGER {name}_changed AFTER UPDATE ON {table} BEGIN {take} {add} END")
