"""The tables of recall: remembered turns, the keys they are found by, what was sent for
turns that were not found.

`recall_turns.body` is opaque here; `namespace` keeps principals and provider families apart.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from shared.store.engine import Engine, Row, Statement

__all__ = (
    "KEY_BYTES",
    "SENT_BYTES",
    "TURN_BYTES",
    "Remembered",
    "TurnsKept",
    "add_keys",
    "change_turn",
    "changed_since",
    "drop_keys",
    "find_sent",
    "find_together",
    "find_tokens",
    "find_turns",
    "forget_old",
    "has_old",
    "keep_sent",
    "keep_turn",
    "kept_bytes",
    "touch_turns",
    "turns_kept",
)

_ROWS = 800
"""Twice as many as there are keys in a lot: a lot with more has a crowded key among them."""

_DAY_MS = 86_400_000
_PACE_DAYS = 7
"""Whole days before today that tell the pace: a week has its weekend."""

_KEY_SIZE = 10
"""Bytes that are kept of a key. Other turns that share them are as rare as one in 10^24; none
of another namespace is read in any case.
"""

TURN_BYTES = 110
KEY_BYTES = 42
SENT_BYTES = 54
"""What a turn takes in the database beside its body, each of its keys, and what was sent for
a turn beside its value, with the indexes: measured.
"""

_PAGE_BYTES = 4096
"""SQLite's pages. Rows are not divided between them, so a row of n bytes leaves about half of
n empty in each.
"""

_BODY_BYTES = "length({0}) + (length({0}) % {1}) * (length({0}) % {1}) / {1} / 2"
_NEW_BODY, _OLD_BODY = (_BODY_BYTES.format(body, _PAGE_BYTES) for body in (":body", "body"))
"""What a body takes, in SQL."""

_NEVER = 2**63 - 1
"""Later than any time."""

_KEPT = "SELECT coalesce(sum(bytes), 0) FROM recall_days"

_TOKENS = """
    SELECT keys.key, turns.token
    FROM recall_keys AS keys JOIN recall_turns AS turns ON turns.id = keys.turn
    WHERE {} ORDER BY keys.key, keys.turn LIMIT ?
"""


_OF_SENT, _OF_KEYS = -1, -2
"""The kinds of rows: those of turns have the number of their namespace, those of keys this and
below, another for each lot.
"""

# What has no place in a column has another of the same type there.
_TURNS_BRANCH = """
    SELECT {0} AS kind, token AS name, namespace AS key, body, used_at FROM recall_turns
    WHERE namespace = ? AND {1}
"""
_KEYS_BRANCH = """
    SELECT * FROM (
        SELECT {0} AS kind, turns.token AS name, keys.key AS key, keys.key AS body, turns.used_at
        FROM recall_keys AS keys JOIN recall_turns AS turns ON turns.id = keys.turn
        WHERE {1} LIMIT ?
    ) AS found
"""
_SENT_BRANCH = """
    SELECT -1 AS kind, value AS name, key, key AS body, used_at FROM recall_sent
    WHERE {}
"""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of several things that were looked up together."""

    turns: dict[bytes, dict[str, tuple[bytes, int]]]
    """By namespace, as `find_turns` returns them."""

    tokens: dict[bytes, list[str]]
    """As of `find_tokens`."""

    sent: dict[bytes, tuple[str, int]]
    """As of `find_sent`."""


class TurnsKept(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered."""

    turns: int
    bytes: int
    oldest_at: int | None
    """When the turn that was unused for the longest time was last used; None: there is none."""

    daily_bytes: int
    """What the turns of a day take, as in the last week; 0: not known yet."""


def keep_turn(
    *, token: str, namespace: bytes, complete: bool, length: int, body: bytes, now: int
) -> Statement:
    """Insert the turn, or replace it by a later state of itself, in whatever order its
    states come: `length` grows from one to the next.
    """
    sql = f"""
        INSERT INTO recall_turns (token, namespace, complete, length, bytes, used_at, body)
        VALUES (:token, :namespace, :complete, :length, {TURN_BYTES} + {_NEW_BODY}, :now, :body)
        ON CONFLICT (token) DO UPDATE SET complete = excluded.complete,
            length = excluded.length, bytes = excluded.bytes, body = excluded.body
        WHERE recall_turns.complete = 0 AND (excluded.complete = 1
            OR excluded.length >= recall_turns.length)
    """  # noqa: S608 - ours
    params = {
        "token": token,
        "namespace": namespace,
        "complete": int(complete),
        "length": length,
        "now": now,
    }
    return sql, params | {"body": body}


def change_turn(*, token: str, body: bytes, now: int) -> Statement:
    """Put another body in the place of the turn's, also of a whole one; other programs may hold
    the old one.
    """
    sql = f"""
        UPDATE recall_turns
        SET body = :body, bytes = bytes - ({_OLD_BODY}) + {_NEW_BODY}, changed_at = :now
        WHERE token = :token
    """  # noqa: S608 - ours
    return sql, {"token": token, "body": body, "now": now}


def changed_since(engine: Engine, since: int) -> list[str]:
    """The turns whose body was changed since then (epoch ms)."""
    sql = "SELECT token FROM recall_turns WHERE changed_at > 0 AND changed_at >= :since"
    return [token for (token,) in engine.read(sql, {"since": since})]


def add_keys(token: str, keys: Iterable[bytes]) -> list[Statement]:
    """Make the turn findable under these keys, unless it has been forgotten meanwhile."""
    sql = """
        INSERT INTO recall_keys (key, turn) SELECT :key, id FROM recall_turns
            WHERE token = :token
        ON CONFLICT DO NOTHING
    """
    added = [(sql, {"key": key[:_KEY_SIZE], "token": token}) for key in keys]
    return [*added, _count_keys(token)]


def drop_keys(token: str, keys: Iterable[bytes]) -> list[Statement]:
    """Let the turn no longer be found under these keys."""
    sql = """
        DELETE FROM recall_keys
        WHERE key = :key AND turn = (SELECT id FROM recall_turns WHERE token = :token)
    """
    dropped = [(sql, {"key": key[:_KEY_SIZE], "token": token}) for key in keys]
    return [*dropped, _count_keys(token)]


def _count_keys(token: str) -> Statement:
    """Note what the turn takes with the keys that it has now."""
    sql = f"""
        UPDATE recall_turns SET bytes = {TURN_BYTES} + {_OLD_BODY}
            + {KEY_BYTES} * (SELECT count(*) FROM recall_keys WHERE turn = recall_turns.id)
        WHERE token = :token
    """  # noqa: S608 - ours
    return sql, {"token": token}


def find_turns(
    engine: Engine, namespace: bytes, tokens: Sequence[str]
) -> dict[str, tuple[bytes, int]]:
    """Bodies and `used_at` of those of the turns that exist in the namespace."""
    found: dict[str, tuple[bytes, int]] = {}
    for among, values, _ in engine.dialect.among("token", tokens):
        where = f"{among} AND namespace = ?"
        sql = f"SELECT token, body, used_at FROM recall_turns WHERE {where}"  # noqa: S608 - bound
        rows = engine.read(sql, [*values, namespace])
        found |= {token: (body, used_at) for token, body, used_at in rows}
    return found


def find_tokens(engine: Engine, keys: Sequence[bytes], limit: int) -> dict[bytes, list[str]]:
    """For each of the keys up to `limit` turns that are findable under it."""
    found: dict[bytes, list[str]] = {key[:_KEY_SIZE]: [] for key in keys}
    for among, values, lot in engine.dialect.among("keys.key", list(found)):
        rows_limit = limit + 2 * len(lot)
        rows = engine.read(_TOKENS.format(among), [*values, rows_limit])
        if len(rows) < rows_limit:
            for key, token in rows:
                found[key].append(token)
        else:  # a crowded key leaves no room for the others
            found |= {key: _find_tokens(engine, key, limit) for key in lot}
    return {key: found[key[:_KEY_SIZE]] for key in keys}


def _find_tokens(engine: Engine, key: bytes, limit: int) -> list[str]:
    rows = engine.read(_TOKENS.format("keys.key = ?"), [key, limit])
    return [token for _, token in rows]


def touch_turns(tokens: Iterable[str], now: int) -> list[Statement]:
    """Note that the turns are still in use."""
    sql = "UPDATE recall_turns SET used_at = :now WHERE token = :token"
    return [(sql, {"token": token, "now": now}) for token in tokens]


def find_sent(engine: Engine, keys: Sequence[bytes]) -> dict[bytes, tuple[str, int]]:
    """What was sent for those turns that were not found, and when."""
    found: dict[bytes, tuple[str, int]] = {}
    for among, values, _ in engine.dialect.among("key", [key[:_KEY_SIZE] for key in keys]):
        sql = f"SELECT key, value, used_at FROM recall_sent WHERE {among}"  # noqa: S608 - bound
        rows = engine.read(sql, values)
        found |= {key: (value, used_at) for key, value, used_at in rows}
    return {key: found[key[:_KEY_SIZE]] for key in keys if key[:_KEY_SIZE] in found}


def find_together(
    engine: Engine,
    *,
    turns: Mapping[bytes, Sequence[str]],
    keys: Sequence[bytes],
    limit: int,
    sent: Sequence[bytes],
) -> Remembered:
    """Return what `find_turns` (for each namespace), `find_tokens` and `find_sent` do, by one
    statement: for an engine whose answers take longer to come than to be found.
    """
    branches: list[str] = []
    bound: list[object] = []
    names, most = list(turns), limit + _ROWS
    for number, namespace in enumerate(names):
        for among, values, _ in engine.dialect.among("token", turns[namespace]):
            branches.append(_TURNS_BRANCH.format(number, among))
            bound += [namespace, *values]
    short = list({key[:_KEY_SIZE]: None for key in keys})
    for number, (among, values, _) in enumerate(engine.dialect.among("keys.key", short)):
        branches.append(_KEYS_BRANCH.format(_OF_KEYS - number, among))
        bound += [*values, most]
    for among, values, _ in engine.dialect.among("key", [key[:_KEY_SIZE] for key in sent]):
        branches.append(_SENT_BRANCH.format(among))
        bound += values
    rows = engine.read(" UNION ALL ".join(branches), bound) if branches else []
    rows_of = Counter(kind for kind, *_ in rows if kind <= _OF_KEYS)
    crowded = max(rows_of.values(), default=0) >= most
    treated = {key: (name, used_at) for kind, name, key, _, used_at in rows if kind == _OF_SENT}
    return Remembered(
        turns={
            namespace: {
                name: (body, used_at) for kind, name, _, body, used_at in rows if kind == number
            }
            for number, namespace in enumerate(names)
        },
        tokens=find_tokens(engine, keys, limit) if crowded else _tokens_by_key(keys, rows),
        sent={key: treated[key[:_KEY_SIZE]] for key in sent if key[:_KEY_SIZE] in treated},
    )


def _tokens_by_key(keys: Sequence[bytes], rows: Sequence[Row]) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {key[:_KEY_SIZE]: [] for key in keys}
    for kind, name, key, *_ in rows:
        if kind <= _OF_KEYS:
            found[key].append(name)
    return {key: found[key[:_KEY_SIZE]] for key in keys}


def keep_sent(key: bytes, value: str, now: int) -> Statement:
    """Note what is sent for a turn that was not found, so that it is sent again."""
    sql = """
        INSERT INTO recall_sent (key, value, used_at) VALUES (:key, :value, :now)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, used_at = excluded.used_at
    """
    return sql, {"key": key[:_KEY_SIZE], "value": value, "now": now}


def kept_bytes(engine: Engine) -> int:
    """What all turns take with their keys, and what was sent for others."""
    ((kept,),) = engine.read(_KEPT)
    return int(kept)


def turns_kept(engine: Engine, now: int) -> TurnsKept:
    """How many turns there are, and how fast they become more; reads none of them."""
    days = engine.read("SELECT day, sum(turns), sum(bytes) FROM recall_days GROUP BY day")
    ((oldest_at,),) = engine.read("SELECT min(used_at) FROM recall_turns")
    return TurnsKept(
        turns=sum(turns for _, turns, _ in days),
        bytes=sum(size for *_, size in days),
        oldest_at=oldest_at,
        daily_bytes=_daily_bytes({day: size for day, _, size in days}, oldest_at or now, now),
    )


def _daily_bytes(days: Mapping[int, int], oldest_at: int, now: int) -> int:
    """The mean of the last week; 0 while less than a day is known."""
    first = max(oldest_at // _DAY_MS, now // _DAY_MS - _PACE_DAYS)
    known_ms = now - max(oldest_at, first * _DAY_MS)
    if known_ms < _DAY_MS:
        return 0
    recent = sum(size for day, size in days.items() if day >= first)
    return recent * _DAY_MS // known_ms


def has_old(engine: Engine, *, unused_since: int, max_bytes: int) -> bool:
    """Whether `forget_old` has anything to delete; reads no turns but the oldest."""
    sql = f"""
        SELECT EXISTS (SELECT 1 FROM recall_turns WHERE used_at < :since)
            OR EXISTS (SELECT 1 FROM recall_sent WHERE used_at < :since)
            OR ({_KEPT}) > :max_bytes
    """  # noqa: S608 - ours
    ((old,),) = engine.read(sql, {"since": unused_since, "max_bytes": max_bytes})
    return bool(old)


def forget_old(*, unused_since: int, max_bytes: int, batch: int = 200) -> list[Statement]:
    """Delete what was not used since, and then the least recently used turns, with what was
    sent before for others, until all that is kept fits in `max_bytes`.

    Each of the statements deletes at most `batch` rows, so that no other write waits for
    long: repeat them.
    """
    expired = """
        DELETE FROM recall_turns WHERE id IN (
            SELECT id FROM recall_turns WHERE used_at < :since ORDER BY used_at LIMIT :batch
        )
    """
    expired_sent = """
        DELETE FROM recall_sent WHERE key IN (
            SELECT key FROM recall_sent WHERE used_at < :since ORDER BY used_at LIMIT :batch
        )
    """
    surplus_sent = f"""
        DELETE FROM recall_sent WHERE key IN (
            SELECT key FROM recall_sent WHERE ({_KEPT}) > :max_bytes AND used_at < (
                SELECT coalesce(min(used_at), {_NEVER}) FROM recall_turns
            ) ORDER BY used_at LIMIT :batch
        )
    """  # noqa: S608 - ours
    surplus = f"""
        DELETE FROM recall_turns WHERE id IN (
            SELECT id FROM (
                SELECT id, sum(bytes) OVER (ORDER BY used_at, id) - bytes AS older
                FROM (SELECT id, used_at, bytes FROM recall_turns ORDER BY used_at, id
                    LIMIT :batch) AS oldest
            ) AS running
            WHERE older < ({_KEPT}) - :max_bytes
        )
    """  # noqa: S608 - ours
    since = {"since": unused_since, "batch": batch}
    return [
        (expired, since),
        (expired_sent, since),
        (surplus_sent, {"max_bytes": max_bytes, "batch": batch}),
        (surplus, {"max_bytes": max_bytes, "batch": batch}),
        ("DELETE FROM recall_days WHERE turns = 0 AND bytes = 0", {}),
    ]
