"""A database with a long past: users with keys, a million exchanges over a year and what
users asked.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from shared.security.passwords import hash_password
from shared.store import open_engine
from shared.store.ledger import ENTRY_COLUMNS, Entry
from shared.store.sqlite import connect

__all__ = ("ENDLESS", "PASSWORD", "make_past")

ENDLESS = "endless"
"""A conversation that has very many requests."""

PASSWORD = "correct horse battery staple"
MODELS = ("deepseek-v4-pro", "deepseek-v4-flash", "mimo-v2.5-pro", "kimi-k2.6", "glm-5.2")
WORDS = (
    "fix",
    "the",
    "failing",
    "test",
    "in",
    "修复",
    "错误",
    "parser",
    "und",
    "bitte",
    "schnell",
    "refactor",
)
USERS = 200
DAYS = 365
_BATCH = 10_000


def make_past(path: Path, *, exchanges: int, asked: int, seed: int = 1) -> None:
    """Make the database at `path` with so many exchanges and audit records; `admin` has the
    password `PASSWORD`.
    """
    open_engine(f"sqlite:{path}").close()
    rng = Random(seed)
    with connect(path) as db:
        _people(db)
        columns = Entry.__struct_fields__
        sql = f"INSERT INTO ledger ({ENTRY_COLUMNS}) VALUES ({', '.join('?' * len(columns))})"
        _insert(db, sql, (_entry(rng, n, exchanges) for n in range(exchanges)))
        _sum_up(db)
        audit = (
            "INSERT INTO audit (exchange, at, user_id, username, model, upstream, "
            "status, text, conversation, bytes) "
            "VALUES (?, ?, ?, ?, ?, 'one', 200, ?, NULL, ?)"
        )
        _insert(db, audit, (_question(rng, n, asked) for n in range(asked)))
        db.execute("ANALYZE")
    db.close()


def _people(db: Any) -> None:
    password_hash = hash_password(PASSWORD)
    for number in range(1, USERS + 1):
        name, role = ("admin", "admin") if number == 1 else (f"user{number}", "user")
        db.execute(
            "INSERT INTO users (username, password_hash, role, created_at) VALUES (?, ?, ?, 0)",
            (name, password_hash, role),
        )
        db.execute(
            "INSERT INTO virtual_keys (user_id, name, digest, suffix, scope, created_at) "
            "VALUES (?, 'laptop', ?, 'abcd', 'inference', 0)",
            (number, f"{number:064x}"),
        )


def _moment(n: int, count: int) -> int:
    """Evenly over the year up to now, epoch ms."""
    now = datetime.now(UTC)
    return int((now - timedelta(days=DAYS) * (1 - n / count)).timestamp() * 1000)


def _entry(rng: Random, n: int, count: int) -> Sequence[Any]:
    user = 1 + int(rng.paretovariate(1.2)) % USERS
    model = rng.choice(MODELS)
    failed = rng.random() < 0.02
    turns = [{"at": 2 * k, "rule": "id", "why": ""} for k in range(5)]
    details = {
        "tries": [{"upstream": "one", "key": "…wxyz", "model": model, "outcome": "200"}],
        "turns": turns,
    }
    entry = Entry(
        exchange=f"past{n}",
        at=_moment(n, count),
        user_id=user,
        username=f"user{user}",
        key_id=user,
        key_suffix="abcd",
        model=model,
        upstream="one",
        upstream_key="wxyz",
        upstream_model=model,
        streamed=True,
        status=502 if failed else 200,
        error_class="upstream_502" if failed else "",
        attempts=1,
        prompt_tokens=rng.randrange(1000, 60_000),
        completion_tokens=rng.randrange(20, 2000),
        cached_tokens=900,
        cost_micros=rng.randrange(100, 20_000),
        first_byte_ms=rng.randrange(300, 4000),
        duration_ms=rng.randrange(1000, 30_000),
        restored=5,
        client="203.0.113.5",
        user_agent="Cursor/1.0",
        conversation=ENDLESS if user == 2 and n % 10 == 0 else f"{user:x}c{n // 400:x}",
        details=json.dumps(details),
    )
    return [getattr(entry, name) for name in Entry.__struct_fields__]


def _question(rng: Random, n: int, count: int) -> Sequence[Any]:
    text = " ".join(rng.choices(WORDS, k=40))
    user = 1 + rng.randrange(USERS)
    return (
        f"past{n}",
        _moment(n, count),
        user,
        f"user{user}",
        rng.choice(MODELS),
        text,
        len(text.encode()),
    )


def _insert(db: Any, sql: str, rows: Iterator[Sequence[Any]]) -> None:
    while batch := [row for _, row in zip(range(_BATCH), rows, strict=False)]:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(sql, batch)
        db.execute("COMMIT")


def _sum_up(db: Any) -> None:
    """The sums that settling would have kept."""
    db.execute("""
        INSERT INTO usage_daily
        SELECT CAST(strftime('%Y%m%d', at / 1000, 'unixepoch') AS INTEGER), user_id, key_id, upstream, model,
            upstream_model, COUNT(*), SUM(error_class <> ''), 0, 0, SUM(prompt_tokens), SUM(completion_tokens), 0,
            SUM(cached_tokens), SUM(cost_micros), SUM(restored), SUM(missing)
        FROM ledger GROUP BY 1, 2, 3, 4, 5, 6
    """)
    db.execute("""
        INSERT INTO conversations
        SELECT conversation, MAX(id), user_id, username, upstream, model, upstream_model, user_agent, MIN(at), MAX(at),
            COUNT(*), SUM(error_class <> ''), 0, 0, SUM(prompt_tokens), SUM(completion_tokens), 0, SUM(cached_tokens),
            SUM(cost_micros), SUM(restored), SUM(missing)
        FROM ledger GROUP BY conversation
    """)
    db.execute("""
        INSERT INTO spending SELECT 'user:' || user_id, 'lifetime', 0, SUM(prompt_tokens + completion_tokens),
            SUM(cost_micros) FROM ledger GROUP BY user_id
    """)
