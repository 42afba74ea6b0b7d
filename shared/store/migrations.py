"""The schema, as append-only named steps: a released step is never edited, a change is a
new step at the end. One that takes away what earlier programs read or write ends with
`many_nodes.breaks_earlier_programs`, and is counted in `BREAKING`.

Times are integers of epoch milliseconds, truth is 0 or 1.
"""

from contextlib import closing
from pathlib import Path

from sqlite_utils import Database, Migrations

from shared.errors import StoreError
from shared.store.compact_recall import compact_recall
from shared.store.many_nodes import (
    described_nodes,
    installation,
    processes,
    shared_limits,
    tended,
    turn_changes,
    versions,
)
from shared.store.sqlite import connect
from shared.store.steps import FIND_BREAKING, PATIENCE_MS, refused_step

__all__ = ("MIGRATIONS", "is_current", "migrate", "step_names")

MIGRATIONS = Migrations("thinkback")


@MIGRATIONS()
def accounts(db: Database) -> None:
    # AUTOINCREMENT: the id of a deleted user is never given again; sessions and remembered
    # reasoning are bound to it.
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


@MIGRATIONS()
def metering(db: Database) -> None:
    for table in ("users", "virtual_keys"):
        for column in (
            "models TEXT NOT NULL DEFAULT '[]'",  # a JSON list; empty: every model
            "quota_tokens INTEGER CHECK (quota_tokens >= 0)",
            "quota_cost_micros INTEGER CHECK (quota_cost_micros >= 0)",
            (
                "period TEXT NOT NULL DEFAULT 'lifetime' CHECK (period IN ('lifetime', "
                "'month', 'day'))"
            ),
            "rpm INTEGER CHECK (rpm >= 0)",
            "tpm INTEGER CHECK (tpm >= 0)",
            "concurrency INTEGER CHECK (concurrency >= 0)",
        ):
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    # What a subject (`user:7`, `key:3`) used in the window it is in: one row per period,
    # which rolls over.
    db.execute("""
        CREATE TABLE spending (
            subject TEXT NOT NULL,
            period TEXT NOT NULL CHECK (period IN ('lifetime', 'month', 'day')),
            window INTEGER NOT NULL,
            tokens INTEGER NOT NULL CHECK (tokens >= 0),
            cost_micros INTEGER NOT NULL CHECK (cost_micros >= 0),
            PRIMARY KEY (subject, period)
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("""
        CREATE TABLE nodes (
            node TEXT NOT NULL PRIMARY KEY,
            version TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            seen_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)
    # Exchanges that run: their reservations, and what is settled for them when their node dies.
    db.execute("""
        CREATE TABLE open_exchanges (
            exchange TEXT NOT NULL PRIMARY KEY,
            node TEXT NOT NULL,
            at INTEGER NOT NULL,
            user_id INTEGER,
            key_id INTEGER,
            reserved_tokens INTEGER NOT NULL CHECK (reserved_tokens >= 0),
            reserved_cost_micros INTEGER NOT NULL CHECK (reserved_cost_micros >= 0),
            entry TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("CREATE INDEX open_exchanges_user_id ON open_exchanges (user_id)")
    db.execute("CREATE INDEX open_exchanges_key_id ON open_exchanges (key_id)")
    # No reference to accounts: what was used stays known when an account is deleted.
    db.execute("""
        CREATE TABLE ledger (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            exchange TEXT NOT NULL UNIQUE,
            at INTEGER NOT NULL,
            user_id INTEGER,
            username TEXT NOT NULL,
            key_id INTEGER,
            key_suffix TEXT NOT NULL,
            format TEXT NOT NULL,
            model TEXT NOT NULL,
            upstream TEXT NOT NULL,
            upstream_key TEXT NOT NULL,
            upstream_model TEXT NOT NULL,
            streamed INTEGER NOT NULL CHECK (streamed IN (0, 1)),
            status INTEGER NOT NULL,
            error_class TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
            completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0),
            reasoning_tokens INTEGER NOT NULL CHECK (reasoning_tokens >= 0),
            cached_tokens INTEGER NOT NULL CHECK (cached_tokens >= 0),
            estimated INTEGER NOT NULL CHECK (estimated IN (0, 1)),
            cost_micros INTEGER CHECK (cost_micros >= 0),
            first_byte_ms INTEGER,
            duration_ms INTEGER NOT NULL,
            restored INTEGER NOT NULL,
            missing INTEGER NOT NULL,
            client TEXT NOT NULL,
            user_agent TEXT NOT NULL,
            details TEXT NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX ledger_user_id ON ledger (user_id, id)")
    db.execute("CREATE INDEX ledger_at ON ledger (at)")
    db.execute("""
        CREATE TABLE usage_daily (
            day INTEGER NOT NULL,
            user_id INTEGER NOT NULL,
            key_id INTEGER NOT NULL,
            upstream TEXT NOT NULL,
            model TEXT NOT NULL,
            upstream_model TEXT NOT NULL,
            requests INTEGER NOT NULL,
            failures INTEGER NOT NULL,
            estimated INTEGER NOT NULL,
            unpriced INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            cost_micros INTEGER NOT NULL,
            restored INTEGER NOT NULL,
            missing INTEGER NOT NULL,
            PRIMARY KEY (day, user_id, key_id, upstream, model, upstream_model)
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("CREATE INDEX usage_daily_user_id ON usage_daily (user_id, day)")
    # Bytes per token, as upstreams counted them: recent sums per model at the upstream.
    db.execute("""
        CREATE TABLE token_ratios (
            model TEXT NOT NULL PRIMARY KEY,
            prompt_bytes INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            answer_bytes INTEGER NOT NULL,
            answer_tokens INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)
    # Micro-units (millionths of a US dollar) per million tokens, from a day (YYYYMMDD) on;
    # upstream '' means any.
    db.execute("""
        CREATE TABLE prices (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            upstream TEXT NOT NULL,
            model TEXT NOT NULL,
            from_day INTEGER NOT NULL,
            input_micros INTEGER NOT NULL CHECK (input_micros >= 0),
            output_micros INTEGER NOT NULL CHECK (output_micros >= 0),
            cached_micros INTEGER CHECK (cached_micros >= 0),
            UNIQUE (upstream, model, from_day)
        ) STRICT
    """)


@MIGRATIONS()
def audit(db: Database) -> None:
    db.execute("""
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            exchange TEXT NOT NULL UNIQUE,
            at INTEGER NOT NULL,
            user_id INTEGER NOT NULL,
            username TEXT NOT NULL,
            model TEXT NOT NULL,
            upstream TEXT NOT NULL,
            status INTEGER NOT NULL,
            text TEXT NOT NULL,
            conversation BLOB,
            bytes INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX audit_at ON audit (at, bytes)")
    db.execute("CREATE INDEX audit_user_id ON audit (user_id, id)")
    # Trigrams find substrings in any script
    # (https://www.sqlite.org/fts5.html#the_trigram_tokenizer).
    db.execute("""
        CREATE VIRTUAL TABLE audit_search
        USING fts5(text, content='audit', content_rowid='id', tokenize='trigram')
    """)
    db.execute("""
        CREATE TRIGGER audit_added AFTER INSERT ON audit BEGIN
            INSERT INTO audit_search (rowid, text) VALUES (new.id, new.text);
        END
    """)
    db.execute("""
        CREATE TRIGGER audit_deleted AFTER DELETE ON audit BEGIN
            INSERT INTO audit_search (audit_search, rowid, text) VALUES ('delete', old.id,
                old.text);
        END
    """)


@MIGRATIONS()
def administration(db: Database) -> None:
    # Upstreams made in the web pages: the settings as JSON; keys and headers, which may be
    # secret, sealed.
    db.execute("""
        CREATE TABLE upstreams (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            position INTEGER NOT NULL,
            body TEXT NOT NULL,
            sealed BLOB NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE settings (
            name TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            updated_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)
    # Session tokens that were ended before their time.
    db.execute("""
        CREATE TABLE ended_sessions (
            jti TEXT NOT NULL PRIMARY KEY,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)
    # Upstream keys that rest after a failure, as the data planes see them.
    db.execute("""
        CREATE TABLE resting_keys (
            upstream TEXT NOT NULL,
            key_digest TEXT NOT NULL,
            suffix TEXT NOT NULL,
            until INTEGER NOT NULL,
            why TEXT NOT NULL,
            PRIMARY KEY (upstream, key_digest)
        ) STRICT, WITHOUT ROWID
    """)


@MIGRATIONS()
def answers(db: Database) -> None:
    # Answers of the Responses API: input and response object are compressed JSON; previous
    # '' begins a conversation.
    db.execute("""
        CREATE TABLE answers (
            id TEXT NOT NULL PRIMARY KEY,
            principal TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            previous TEXT NOT NULL,
            items BLOB NOT NULL,
            response BLOB NOT NULL,
            bytes INTEGER NOT NULL CHECK (bytes >= 0)
        ) STRICT
    """)
    db.execute("CREATE INDEX answers_created_at ON answers (created_at, id, bytes)")


@MIGRATIONS()
def conversations(db: Database) -> None:
    db.execute("ALTER TABLE ledger ADD COLUMN conversation TEXT NOT NULL DEFAULT ''")
    db.execute(
        "CREATE INDEX ledger_conversation ON ledger (conversation, id) WHERE conversation <> ''"
    )
    # What the entries of a conversation used together. `latest` is the newest of them, and
    # upstream, models and program are that one's; user_id 0: the caller showed an
    # upstream's own key.
    db.execute("""
        CREATE TABLE conversations (
            conversation TEXT NOT NULL PRIMARY KEY,
            latest INTEGER NOT NULL UNIQUE,
            user_id INTEGER NOT NULL,
            username TEXT NOT NULL,
            upstream TEXT NOT NULL,
            model TEXT NOT NULL,
            upstream_model TEXT NOT NULL,
            user_agent TEXT NOT NULL,
            first_at INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            requests INTEGER NOT NULL,
            failures INTEGER NOT NULL,
            estimated INTEGER NOT NULL,
            unpriced INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
            completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0),
            reasoning_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            cost_micros INTEGER NOT NULL,
            restored INTEGER NOT NULL,
            missing INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("CREATE INDEX conversations_user_id ON conversations (user_id, latest)")


@MIGRATIONS()
def mirror(db: Database) -> None:
    # How the user wants the reasoning shown; '': as the upstream's setting says.
    db.execute("""
        ALTER TABLE users ADD COLUMN mirror TEXT NOT NULL DEFAULT '' CHECK (mirror IN ('',
            'off', 'details', 'think'))
    """)


MIGRATIONS()(compact_recall)


@MIGRATIONS()
def second_factors(db: Database) -> None:
    # `step` is the latest time step whose code was used, so that none works twice.
    db.execute("""
        CREATE TABLE second_factors (
            user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
            sealed BLOB NOT NULL,
            confirmed INTEGER NOT NULL DEFAULT 0 CHECK (confirmed IN (0, 1)),
            step INTEGER NOT NULL DEFAULT 0,
            created_at INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE recovery_codes (
            user_id INTEGER NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
            digest TEXT NOT NULL,
            PRIMARY KEY (user_id, digest)
        ) STRICT, WITHOUT ROWID
    """)


@MIGRATIONS()
def upstream_models(db: Database) -> None:
    # `models`, a JSON list, is the last list that came from the endpoint at `listed_at`; fault
    # and status are of the latest attempt.
    db.execute("""
        CREATE TABLE upstream_models (
            upstream TEXT NOT NULL PRIMARY KEY,
            endpoint TEXT NOT NULL,
            asked_at INTEGER NOT NULL,
            listed_at INTEGER,
            models TEXT NOT NULL,
            fault TEXT NOT NULL,
            status INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
    """)


MIGRATIONS()(versions)


@MIGRATIONS()
def folded_names(db: Database) -> None:
    # Names are looked up in lower case, which both databases know.
    for table, column in (("users", "username"), ("upstreams", "name")):
        db.execute(f"CREATE UNIQUE INDEX {table}_{column} ON {table} (lower({column}))")


MIGRATIONS()(tended)
MIGRATIONS()(turn_changes)
MIGRATIONS()(processes)
MIGRATIONS()(shared_limits)
MIGRATIONS()(installation)
MIGRATIONS()(described_nodes)


def migrate(path: Path) -> None:
    """Bring the database file up to date; programs that start at once wait for each other.

    Raises StoreError when a newer program has migrated the file in a way that this one can't
    live with.
    """
    connection = connect(path, patience_ms=PATIENCE_MS)
    database = Database(connection, execute_plugins=False)
    try:
        # sqlite-utils looks before it locks: without a lock around the whole, two programs
        # create the same table.
        connection.execute("BEGIN IMMEDIATE")
        MIGRATIONS.apply(database)
        _refuse_newer(database, path)
        # SQLite opens a file that it can't write all the same, and says so at the first write.
        connection.execute("DELETE FROM _sqlite_migrations WHERE 0")
        connection.execute("COMMIT")
    finally:
        connection.close()


def is_current(path: Path) -> bool:
    """Whether the database file has every step that this program knows; nothing is changed."""
    with closing(connect(path)) as connection:
        return not MIGRATIONS.pending(Database(connection, execute_plugins=False))


def step_names() -> list[str]:
    """The steps this program knows, in order."""
    with Database(memory=True) as empty:
        return [step.name for step in MIGRATIONS.pending(empty)]


def _refuse_newer(database: Database, path: Path) -> None:
    breaking = sum(count for (count,) in database.execute(FIND_BREAKING))
    applied = [step.name for step in MIGRATIONS.applied(database)]
    if step := refused_step(applied, breaking):
        raise StoreError(
            f"The database {path} was made by a newer Thinkback (it has the change “{step}”): "
            "install that version, or restore a backup made before it."
        )
