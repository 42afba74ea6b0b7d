"""What was used, by whom and of what: reading verbs over the ledger and its sums per day."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from shared.store.engine import Engine, Row
from shared.store.ledger import ENTRY_COLUMNS, Entry, entry_from
from shared.store.paging import END, Source, read_newest

__all__ = (
    "Details",
    "Dimension",
    "EntryFilter",
    "Group",
    "Outcome",
    "Sums",
    "Tokens",
    "Try",
    "TurnNote",
    "UsageFilter",
    "asked_keys",
    "count_running",
    "daily_tokens",
    "entries_after",
    "largest_usage",
    "newest_entry",
    "read_details",
    "recent_entries",
    "running_exchanges",
    "usage_by",
    "usage_by_day_and_model",
    "usage_of",
)

Dimension = Literal["user", "model", "upstream", "day", "key"]
Outcome = Literal["ok", "error"]

_MAX_DAILY = 20_000
"""Rows of days and models: a year of 50 models."""

_MAX_LOOKED_AT = 5_000
"""Newest exchanges in which keys of upstreams are looked for."""


# -- sums ------------------------------------------------------------------------------------------


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of exchanges."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of the prompt tokens."""


class Sums(Tokens, frozen=True, kw_only=True):
    """The total usage of exchanges."""

    requests: int = 0
    failures: int = 0
    estimated: int = 0
    """Exchanges whose tokens are estimates, as the upstream reported none."""

    unpriced: int = 0
    """Exchanges without a known price, which the cost leaves out."""

    reasoning_tokens: int = 0
    """Part of the completion tokens."""

    cost_micros: int = 0
    """Millionths of a US dollar."""

    restored: int = 0
    missing: int = 0


class Group(Sums, frozen=True, kw_only=True):
    """The usage of one user, model, upstream, day or key."""

    group: int | str
    """Its id, name, or day (YYYYMMDD); 0 for callers with an upstream's own key."""

    name: str
    """A user's name, or a key's owner and name; empty where `group` is a name or day."""


class UsageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which exchanges count; None: any."""

    first_day: int | None = None
    """YYYYMMDD in UTC, like the next; both are included."""

    last_day: int | None = None
    user_id: int | None = None
    """0: callers with an upstream's own key."""

    key_id: int | None = None
    model: str | None = None
    upstream: str | None = None


_SUMS = ", ".join(f"COALESCE(SUM({name}), 0) AS {name}" for name in Sums.__struct_fields__)
_TOKENS = ", ".join(f"SUM({name})" for name in Tokens.__struct_fields__)
_COLUMN: dict[Dimension, str] = {
    "user": "user_id",
    "model": "model",
    "upstream": "upstream",
    "day": "day",
    "key": "key_id",
}
# A user who was deleted keeps the name the ledger has.
_NAME: dict[Dimension, str] = {
    "user": """
        COALESCE(
            (SELECT username FROM users WHERE id = grouped.member),
            (SELECT username FROM ledger WHERE user_id = grouped.member ORDER BY id DESC LIMIT 1),
            ''
        )
    """,
    "key": """
        COALESCE(
            (SELECT u.username || ': ' || k.name || ' …' || k.suffix
             FROM virtual_keys k JOIN users u ON u.id = k.user_id WHERE k.id = grouped.member),
            ''
        )
    """,
    "model": "''",
    "upstream": "''",
    "day": "''",
}
_USAGE_FILTERS = {
    "first_day": "day >= :first_day",
    "last_day": "day <= :last_day",
    "user_id": "user_id = :user_id",
    "key_id": "key_id = :key_id",
    "model": "model = :model",
    "upstream": "upstream = :upstream",
}


def usage_of(engine: Engine, user_id: int, *, since_day: int = 0) -> Sums:
    """Return a user's usage from a day (YYYYMMDD) on."""
    sql = f"SELECT {_SUMS} FROM usage_daily WHERE user_id = :user_id AND day >= :since_day"  # noqa: S608 - constants
    [row] = engine.read(sql, {"user_id": user_id, "since_day": since_day})
    return Sums(**_sums_in(row))


def usage_by_day_and_model(
    engine: Engine, user_id: int, *, first_day: int, last_day: int
) -> list[tuple[int, str, Sums]]:
    """Return a user's usage by day and model, oldest first, within a bound of 20,000 rows."""
    sql = f"""
        SELECT day, model, {_SUMS} FROM usage_daily
        WHERE user_id = :user_id AND day BETWEEN :first_day AND :last_day
        GROUP BY day, model ORDER BY day, model LIMIT {_MAX_DAILY}
    """  # noqa: S608 - constants
    rows = engine.read(sql, {"user_id": user_id, "first_day": first_day, "last_day": last_day})
    return [(row[0], row[1], Sums(**_sums_in(row[2:]))) for row in rows]


def usage_by(
    engine: Engine,
    by: Dimension,
    usage: UsageFilter,
    *,
    after: int | str | None = None,
    limit: int = 100,
) -> list[Group]:
    """Return a page of groups by id or name, days latest first.

    Pass the last one's group as `after` for the next page.
    """
    column = _COLUMN[by]
    order, beyond = "ASC", ">"
    if by == "day":
        order, beyond = "DESC", "<"
    rest = ""
    if after is not None:
        rest = f"AND {column} {beyond} :after"
    sql = f"""
        SELECT {_NAME[by]}, grouped.* FROM (
            SELECT {column} AS member, {_SUMS} FROM usage_daily {_where(usage)} {rest}
            GROUP BY {column} ORDER BY {column} {order} LIMIT :limit
        ) AS grouped ORDER BY grouped.member {order}
    """  # noqa: S608 - constants; the values are bound
    rows = engine.read(sql, msgspec.structs.asdict(usage) | {"after": after, "limit": limit})
    return [Group(name=row[0], group=row[1], **_sums_in(row[2:])) for row in rows]


def largest_usage(
    engine: Engine, by: Dimension, usage: UsageFilter, *, limit: int = 100
) -> list[Group]:
    """Return the groups with the most tokens, largest first."""
    column = _COLUMN[by]
    # COALESCE hides the column from its index: to read the wanted days in order is less
    # work than all days by group.
    sql = f"""
        SELECT {_NAME[by]}, grouped.* FROM (
            SELECT COALESCE({column}, {column}) AS member, {_SUMS} FROM usage_daily {_where(usage)}
            GROUP BY 1 ORDER BY SUM(prompt_tokens + completion_tokens) DESC, 1 LIMIT :limit
        ) AS grouped ORDER BY grouped.prompt_tokens + grouped.completion_tokens DESC, grouped.member
    """  # noqa: S608 - constants; the values are bound
    rows = engine.read(sql, msgspec.structs.asdict(usage) | {"limit": limit})
    return [Group(name=row[0], group=row[1], **_sums_in(row[2:])) for row in rows]


def daily_tokens(
    engine: Engine, by: Dimension, usage: UsageFilter, members: Sequence[int | str]
) -> dict[int | str, dict[int, Tokens]]:
    """Return the daily tokens (YYYYMMDD) of each of these few groups."""
    if not members:
        return {}
    named = {f"member{at}": member for at, member in enumerate(members)}
    column, among = _COLUMN[by], ", ".join(f":{name}" for name in named)
    sql = f"""
        SELECT {column}, day, {_TOKENS} FROM usage_daily
        {_where(usage)} AND {column} IN ({among}) GROUP BY {column}, day
    """  # noqa: S608 - constants; the values are bound
    used: dict[int | str, dict[int, Tokens]] = {member: {} for member in members}
    for member, day, *tokens in engine.read(sql, msgspec.structs.asdict(usage) | named):
        used[member][day] = Tokens(
            **{name: int(n) for name, n in zip(Tokens.__struct_fields__, tokens, strict=True)}
        )
    return used


def _where(usage: UsageFilter) -> str:
    conditions = [
        condition for name, condition in _USAGE_FILTERS.items() if getattr(usage, name) is not None
    ]
    return f"WHERE {' AND '.join(conditions) or '1 = 1'}"


def _sums_in(values: Sequence[int]) -> dict[str, int]:
    return {name: int(value) for name, value in zip(Sums.__struct_fields__, values, strict=True)}


# -- single exchanges ------------------------------------------------------------------------------


class Try(msgspec.Struct, frozen=True):
    """One attempt of an exchange."""

    upstream: str = ""
    key: str = ""
    """`…` and the last four characters."""

    model: str = ""
    outcome: str = ""
    """A status, or why there was none."""


class TurnNote(msgspec.Struct, frozen=True):
    """How one replayed turn got its reasoning, or why it did not."""

    at: int = 0
    """Its place among the messages."""

    rule: str = ""
    why: str = ""
    turn: int = 0
    """Its number among the replayed turns, from 1; 0: not recorded."""


class Details(msgspec.Struct, frozen=True):
    """The decoded `details` of an entry."""

    tries: tuple[Try, ...] = ()
    turns: tuple[TurnNote, ...] = ()
    """Of many, those that were not found, and the latest."""

    rules: dict[str, int] = {}
    """How many turns each rule has resolved; empty: not recorded."""

    notes: tuple[str, ...] = ()
    """What of the request the upstream did not get, in sentences."""

    policy: str = ""
    """Profile of the upstream, and the step of its ladder that is taken for turns whose
    reasoning is not known.
    """

    @property
    def counts(self) -> dict[str, int]:
        """How many turns each rule has resolved."""
        return self.rules or dict(Counter(note.rule for note in self.turns))


def asked_keys(engine: Engine) -> tuple[set[tuple[str, str]], bool]:
    """Return upstreams with the last characters of their keys that the newest exchanges were
    asked with, and whether no earlier exchange was ever in the ledger.
    """
    sql = f"""
        SELECT id, upstream, upstream_key, CASE WHEN attempts > 1 THEN details ELSE '' END
        FROM ledger ORDER BY id DESC LIMIT {_MAX_LOOKED_AT}
    """  # noqa: S608 - constants
    rows = engine.read(sql)
    asked = {(upstream, key) for _, upstream, key, _ in rows}
    for details in {row[3] for row in rows} - {""}:
        asked |= {(each.upstream, each.key.removeprefix("…")) for each in _decoded(details).tries}
    return asked, not rows or rows[-1][0] == 1


class EntryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which exchanges to find; None: any."""

    user_id: int | None = None
    """0: callers with an upstream's own key."""

    key_id: int | None = None
    model: str | None = None
    upstream: str | None = None
    outcome: Outcome | None = None
    error_class: str | None = None
    conversation: str | None = None


_LEDGER = Source(found_in="ledger", number="id", read_from="ledger", columns=f"{ENTRY_COLUMNS}, id")
_ENTRY_FILTERS = ("key_id", "model", "upstream", "error_class")
_OUTCOME: dict[Outcome, str] = {"ok": "error_class = ''", "error": "error_class <> ''"}


def recent_entries(
    engine: Engine, wanted: EntryFilter, *, before: int = END, limit: int = 50
) -> tuple[list[tuple[int, Entry]], int | None]:
    """Return entries and ids newest first, and the `before` of the next page or None.

    A page can be short before the end.
    """
    rows, following = read_newest(
        engine,
        _LEDGER,
        finds=_finds(wanted),
        sifts=_sifts(wanted),
        params=msgspec.structs.asdict(wanted),
        before=before,
        limit=limit,
    )
    return [_numbered(row) for row in rows], following


def entries_after(
    engine: Engine,
    wanted: EntryFilter,
    *,
    after: int,
    upto: int,
    limit: int = 100,
    known: Collection[int] = (),
) -> list[tuple[int, Entry]]:
    """Return entries with ids above `after` and up to `upto`, oldest first, but not those known."""
    conditions = " AND ".join(["id > :after AND id <= :upto", *_finds(wanted), *_sifts(wanted)])
    params = msgspec.structs.asdict(wanted) | {"after": after, "upto": upto}
    if known:
        ids = engine.read(f"SELECT id FROM ledger WHERE {conditions} ORDER BY id", params)  # noqa: S608 - constants
        new = [number for (number,) in ids if number not in known][:limit]
        params |= {"after": min(new, default=upto) - 1, "upto": max(new, default=0)}
    sql = f"SELECT {ENTRY_COLUMNS}, id FROM ledger WHERE {conditions} ORDER BY id LIMIT :limit"  # noqa: S608 - constants
    rows = engine.read(sql, params | {"limit": limit + len(known)})
    return [_numbered(row) for row in rows if row[-1] not in known][:limit]


def newest_entry(engine: Engine) -> int:
    """Return the highest id in the ledger, 0 when it is empty."""
    [(newest,)] = engine.read("SELECT COALESCE(MAX(id), 0) FROM ledger")
    return int(newest)


def running_exchanges(engine: Engine, *, limit: int = 1_000) -> list[Entry]:
    """Return the entries of running exchanges, in no order."""
    rows = engine.read("SELECT entry FROM open_exchanges LIMIT :limit", {"limit": limit})
    return [msgspec.json.decode(text, type=Entry) for (text,) in rows]


def count_running(engine: Engine) -> int:
    """Count the running exchanges."""
    [(count,)] = engine.read("SELECT COUNT(*) FROM open_exchanges")
    return int(count)


def read_details(entry: Entry) -> Details:
    """Decode an entry's details; empty if another version wrote them in another shape."""
    return _decoded(entry.details)


def _decoded(details: str) -> Details:
    try:
        return msgspec.json.decode(details, type=Details)
    except msgspec.ValidationError:
        return Details()


def _finds(wanted: EntryFilter) -> list[str]:
    if wanted.conversation is not None:
        return ["conversation = :conversation", "conversation <> ''"]  # the index has no others
    if wanted.user_id is None:
        return []
    if wanted.user_id == 0:
        return ["user_id IS NULL"]
    return ["user_id = :user_id"]


def _sifts(wanted: EntryFilter) -> list[str]:
    conditions = [
        f"{name} = :{name}" for name in _ENTRY_FILTERS if getattr(wanted, name) is not None
    ]
    if wanted.conversation is not None and wanted.user_id is not None:
        conditions.append("COALESCE(user_id, 0) = :user_id")
    if wanted.outcome:
        conditions.append(_OUTCOME[wanted.outcome])
    return conditions


def _numbered(row: Row) -> tuple[int, Entry]:
    return row[-1], entry_from(row[:-1])
