"""The tables of recall: remembered turns, the keys they are found by, what was sent for
turns that were not found.

`recall_turns.body` is opaque here; `namespace` keeps principals and provider families apart.
"""

from collections.abc import Iterable, Iterator, Sequence

from shared.store.engine import Engine, Statement

__all__ = (
    "add_keys",
    "change_turn",
    "drop_keys",
    "find_learned",
    "find_sent",
    "find_tokens",
    "find_turns",
    "forget_old",
    "keep_learned",
    "keep_sent",
    "keep_turn",
    "touch_turns",
)

_BATCH = 400


def keep_turn(
    *, token: str, namespace: bytes, parent: str | None, complete: bool, body: bytes, now: int
) -> Statement:
    """Insert the turn, or replace it by a later state of itself, in whatever order its
    states come.
    """
    sql = """
        INSERT INTO recall_turns (token, namespace, parent, complete, body, bytes,
            created_at, used_at)
        VALUES (:token, :namespace, :parent, :complete, :body, :bytes, :now, :now)
        ON CONFLICT (token) DO UPDATE SET complete = excluded.complete,
            body = excluded.body, bytes = excluded.bytes
        WHERE recall_turns.complete = 0 AND (excluded.complete = 1
            OR excluded.bytes >= recall_turns.bytes)
    """
    params = {
        "token": token,
        "namespace": namespace,
        "parent": parent,
        "complete": int(complete),
        "now": now,
    }
    return sql, params | {"body": body, "bytes": len(body)}


def change_turn(*, token: str, body: bytes) -> Statement:
    """Put another body in the place of the turn's, also of a whole one."""
    sql = "UPDATE recall_turns SET body = :body, bytes = :bytes WHERE token = :token"
    return sql, {"token": token, "body": body, "bytes": len(body)}


def add_keys(token: str, keys: Iterable[bytes]) -> list[Statement]:
    """Make the turn findable under these keys, unless it has been forgotten meanwhile."""
    sql = """
        INSERT INTO recall_keys (key, token) SELECT :key, token FROM recall_turns
            WHERE token = :token
        ON CONFLICT DO NOTHING
    """
    return [(sql, {"key": key, "token": token}) for key in keys]


def drop_keys(token: str, keys: Iterable[bytes]) -> list[Statement]:
    """Let the turn no longer be found under these keys."""
    sql = "DELETE FROM recall_keys WHERE key = :key AND token = :token"
    return [(sql, {"key": key, "token": token}) for key in keys]


def find_turns(
    engine: Engine, namespace: bytes, tokens: Sequence[str]
) -> dict[str, tuple[bytes, int]]:
    """Bodies and `used_at` of those of the turns that exist in the namespace."""
    found: dict[str, tuple[bytes, int]] = {}
    for names, batch in _batches(tokens):
        where = f"namespace = :namespace AND token IN ({names})"
        sql = f"SELECT token, body, used_at FROM recall_turns WHERE {where}"  # noqa: S608 - bound
        rows = engine.read(sql, batch | {"namespace": namespace})
        found |= {token: (body, used_at) for token, body, used_at in rows}
    return found


def find_tokens(engine: Engine, keys: Sequence[bytes], limit: int) -> dict[bytes, list[str]]:
    """For each of the keys up to `limit` turns that are findable under it."""
    found: dict[bytes, list[str]] = {key: [] for key in keys}
    for names, batch in _batches(keys):
        rows_limit = limit + 2 * len(batch)
        sql = f"SELECT key, token FROM recall_keys WHERE key IN ({names}) LIMIT :rows"  # noqa: S608
        rows = engine.read(sql, batch | {"rows": rows_limit})
        if len(rows) < rows_limit:
            for key, token in rows:
                found[key].append(token)
        else:  # a crowded key leaves no room for the others
            found |= {key: _find_tokens(engine, key, limit) for key in batch.values()}
    return found


def _find_tokens(engine: Engine, key: bytes, limit: int) -> list[str]:
    rows = engine.read(
        "SELECT token FROM recall_keys WHERE key = :key LIMIT :limit", {"key": key, "limit": limit}
    )
    return [token for (token,) in rows]


def _batches[T](values: Sequence[T]) -> Iterator[tuple[str, dict[str, T]]]:
    """The values in lots as named parameters, each with the names as SQL; the names are
    ours, the values are bound.
    """
    for start in range(0, len(values), _BATCH):
        batch = {f"v{at}": value for at, value in enumerate(values[start : start + _BATCH])}
        yield ", ".join(f":{name}" for name in batch), batch


def touch_turns(tokens: Iterable[str], now: int) -> list[Statement]:
    """Note that the turns are still in use."""
    sql = "UPDATE recall_turns SET used_at = :now WHERE token = :token"
    return [(sql, {"token": token, "now": now}) for token in tokens]


def find_sent(engine: Engine, keys: Sequence[bytes]) -> dict[bytes, tuple[str, int]]:
    """What was sent for those turns that were not found, and when."""
    found: dict[bytes, tuple[str, int]] = {}
    for names, batch in _batches(keys):
        sql = f"SELECT key, value, used_at FROM recall_sent WHERE key IN ({names})"  # noqa: S608
        rows = engine.read(sql, batch)
        found |= {key: (value, used_at) for key, value, used_at in rows}
    return found


def keep_sent(key: bytes, value: str, now: int) -> Statement:
    """Note what is sent for a turn that was not found, so that it is sent again."""
    sql = """
        INSERT INTO recall_sent (key, value, used_at) VALUES (:key, :value, :now)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, used_at = excluded.used_at
    """
    return sql, {"key": key, "value": value, "now": now}


def find_learned(engine: Engine) -> dict[str, str]:
    """What has been learnt of each endpoint."""
    return dict(engine.read("SELECT endpoint, value FROM learned"))


def keep_learned(endpoint: str, value: str, now: int) -> Statement:
    """Note what an endpoint has taught."""
    sql = """
        INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, :value, :now)
        ON CONFLICT (endpoint) DO UPDATE SET value = excluded.value,
            learned_at = excluded.learned_at
    """
    return sql, {"endpoint": endpoint, "value": value, "now": now}


def forget_old(*, unused_since: int, max_bytes: int) -> list[Statement]:
    """Delete what was not used since, and then the least recently used until the bodies fit
    in `max_bytes`.
    """
    surplus = """
        DELETE FROM recall_turns WHERE token IN (
            SELECT token FROM (
                SELECT token, sum(bytes) OVER (ORDER BY used_at DESC, token) AS running
                    FROM recall_turns
            ) AS newest_first WHERE running > :max_bytes
        )
    """
    return [
        ("DELETE FROM recall_turns WHERE used_at < :since", {"since": unused_since}),
        ("DELETE FROM recall_sent WHERE used_at < :since", {"since": unused_since}),
        (surplus, {"max_bytes": max_bytes}),
    ]
