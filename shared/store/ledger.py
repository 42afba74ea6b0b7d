"""The ledger: what every exchange used, and the reservations of those that run.

A row is written once for each exchange, together with the day's sums and what its user and
key have spent: all of it commits or none, and an exchange that is already in the ledger
changes nothing, unless it was taken for lost.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from shared.model import Period
from shared.periods import day_of, window_of
from shared.store.engine import Engine, Params, Row, Statement, Transaction, Work

__all__ = (
    "DEAD_AFTER_MS",
    "ENTRY_COLUMNS",
    "LOST",
    "Balance",
    "Entry",
    "Opening",
    "balance_in",
    "balance_of",
    "drop_old",
    "drop_old_conversations",
    "entry_from",
    "exchange_name",
    "note_progress",
    "open_exchange",
    "settle",
    "subject_of",
)

DEAD_AFTER_MS = 40_000
"""A node that has not beaten for so long is dead: its reservations no longer count."""

LOST = "lost"
"""The error class of an exchange that was settled for a node that seems dead."""

_NEVER = 2**53
"""No entry has a number so high."""

PERIODS: tuple[Period, ...] = ("lifetime", "month", "day")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger."""

    exchange: str
    at: int
    """When the request came, epoch ms."""

    user_id: int | None = None
    """None: the caller showed an upstream's own key."""

    username: str = ""
    """The name the user had then."""

    key_id: int | None = None
    key_suffix: str = ""
    format: str = "chat"
    """The client's."""

    model: str = ""
    """The one that was asked for."""

    upstream: str = ""
    upstream_key: str = ""
    """Its last four characters."""

    upstream_model: str = ""
    streamed: bool = False
    status: int = 0
    """HTTP status of the answer; 0: there was none, as the client left or the node died."""

    error_class: str = ""
    """Empty when all went well, else a word like `insufficient_quota`, `client_left`,
    `upstream_cut` or `lost`.
    """

    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Part of the completion tokens."""

    cached_tokens: int = 0
    """Part of the prompt tokens."""

    estimated: bool = False
    """The upstream did not count: the tokens are a guess from bytes."""

    cost_micros: int | None = None
    """Millionths of a US dollar at that day's price; None: there was no price for it."""

    first_byte_ms: int | None = None
    duration_ms: int = 0
    restored: int = 0
    """Turns that got their reasoning back."""

    missing: int = 0
    """Turns whose reasoning was not found."""

    client: str = ""
    """Network address."""

    user_agent: str = ""
    conversation: str = ""
    """Groups the requests of one chat of one caller; empty: not known."""

    details: str = "{}"
    """JSON: `tries` (list of `{upstream, key, model, outcome}`), `turns` (list of `{turn, at,
    rule, why}`), `rules` (numbers of turns by rule), `notes` (list of sentences) and `policy`.
    """


ENTRY_COLUMNS = ", ".join(Entry.__struct_fields__)
"""In the order `entry_from` wants."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange that begins."""

    node: str
    entry: Entry
    """What the ledger gets when the node dies before anything has come: with the tokens the
    prompt is guessed to have, and their cost.
    """

    reserved_tokens: int
    reserved_cost_micros: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What a subject has spent in a window, and what its running exchanges may still spend."""

    tokens: int = 0
    cost_micros: int = 0
    reserved_tokens: int = 0
    reserved_cost_micros: int = 0


def exchange_name(exchange: str) -> str:
    """Under which name the opening and the settlement of an exchange are alone."""
    return f"exchange:{exchange}"


def subject_of(kind: str, number: int) -> str:
    """The name of a user (`user`) or a key (`key`) in the table of spending."""
    return f"{kind}:{number}"


def entry_from(row: Row) -> Entry:
    """The entry in a row of `ENTRY_COLUMNS`."""
    values = dict(zip(Entry.__struct_fields__, row, strict=True))
    return Entry(
        **values | {"streamed": bool(values["streamed"]), "estimated": bool(values["estimated"])}
    )


# -- reservations ----------------------------------------------------------------------------------


def open_exchange(opening: Opening) -> Statement:
    """Note that an exchange runs, and what it may use, unless it is settled already."""
    sql = """
        INSERT INTO open_exchanges
            (exchange, node, at, user_id, key_id, reserved_tokens, reserved_cost_micros, entry)
        SELECT :exchange, :node, :at, :user_id, :key_id, :tokens, :cost, :entry
        WHERE NOT EXISTS (SELECT 1 FROM ledger WHERE exchange = :exchange)
        ON CONFLICT (exchange) DO NOTHING
    """
    entry = opening.entry
    return sql, {
        "exchange": entry.exchange,
        "node": opening.node,
        "at": entry.at,
        "user_id": entry.user_id,
        "key_id": entry.key_id,
        "tokens": opening.reserved_tokens,
        "cost": opening.reserved_cost_micros,
        "entry": msgspec.json.encode(entry).decode(),
    }


def note_progress(entry: Entry) -> Statement:
    """Note what a running exchange has used so far: that is what the ledger gets when its node
    dies, and what is held for it is no less.
    """
    sql = """
        UPDATE open_exchanges SET
            entry = :entry,
            reserved_tokens = CASE WHEN reserved_tokens < :tokens THEN :tokens
                ELSE reserved_tokens END,
            reserved_cost_micros = CASE WHEN reserved_cost_micros < :cost THEN :cost
                ELSE reserved_cost_micros END
        WHERE exchange = :exchange
    """
    return sql, {
        "exchange": entry.exchange,
        "tokens": _tokens(entry),
        "cost": entry.cost_micros or 0,
        "entry": msgspec.json.encode(entry).decode(),
    }


def balance_of(engine: Engine, subject: str, period: Period, now_ms: int) -> Balance:
    """What a subject has spent in the period's present window, and what is reserved for it."""
    return _balance(engine.read, subject, period, now_ms)


def balance_in(transaction: Transaction, subject: str, period: Period, now_ms: int) -> Balance:
    """`balance_of` as part of a larger transaction."""
    return _balance(transaction.run, subject, period, now_ms)


def _balance(
    run: Callable[[str, Params], list[Row]], subject: str, period: Period, now_ms: int
) -> Balance:
    kind, _, number = subject.partition(":")
    [row] = run(
        _BALANCE[kind],
        {
            "subject": subject,
            "number": int(number),
            "period": period,
            "window": window_of(period, now_ms),
            "alive": now_ms - DEAD_AFTER_MS,
        },
    )
    return Balance(
        tokens=row[0], cost_micros=row[1], reserved_tokens=row[2], reserved_cost_micros=row[3]
    )


def _balance_of(column: str) -> str:
    """In one statement, as a settlement in between would be counted neither as spent nor as
    reserved.
    """
    # A later window is one from before the clock was put back: that gives no new quota.
    spent = """
        SELECT {} FROM spending
        WHERE subject = :subject AND period = :period AND "window" >= :window
    """
    return f"""
        SELECT
            COALESCE(({spent.format("tokens")}), 0), COALESCE(({spent.format("cost_micros")}), 0),
            COALESCE(SUM(o.reserved_tokens), 0), COALESCE(SUM(o.reserved_cost_micros), 0)
        FROM open_exchanges o JOIN nodes n ON n.node = o.node
        WHERE o.{column} = :number AND n.seen_at > :alive
    """  # noqa: S608 - constants; the values are bound


_BALANCE = {"user": _balance_of("user_id"), "key": _balance_of("key_id")}


# -- settlement ------------------------------------------------------------------------------------


def settle(entry: Entry) -> list[Statement | Work[object]]:
    """Write the entry unless it is there, add it to the sums and release what was reserved; to
    be committed as one, alone with the exchange.

    It takes the place of an entry that is there because its node seemed dead: what the node
    itself says is true, however late.
    """
    return [partial(_settle, entry)]


def _settle(entry: Entry, transaction: Transaction) -> None:
    params = _params(entry)
    rows = transaction.run(_INSERT_ENTRY, params)
    if not rows and entry.error_class != LOST:
        rows = _replace_lost(transaction, params)
    for (number,) in rows:
        _count(transaction, entry, params | {"id": number})
    transaction.run(_CLOSE, {"exchange": entry.exchange})


def _params(entry: Entry) -> dict[str, Any]:
    return msgspec.structs.asdict(entry) | {
        "streamed": int(entry.streamed),
        "estimated": int(entry.estimated),
        "day": day_of(entry.at),
        "unpriced": int(entry.cost_micros is None and _tokens(entry) > 0),
        "counted_micros": entry.cost_micros or 0,
    }


def _count(transaction: Transaction, entry: Entry, params: Params) -> None:
    """Add an entry that is new to the sums."""
    transaction.run(_ADD_TO_DAY, params)
    if _tokens(entry):
        transaction.run(_SPEND, _spending(entry))
    if params["conversation"]:
        transaction.run(_ADD_TO_CONVERSATION, params)


def _replace_lost(transaction: Transaction, params: dict[str, Any]) -> list[Row]:
    """Put an entry in the place of what was guessed, which is taken out of the sums; its number,
    or nothing when nothing was.
    """
    found = transaction.run(_FIND_LOST, {"exchange": params["exchange"], "lost": LOST})
    if not found:
        return []
    guess = entry_from(found[0])
    guessed = _params(guess)
    transaction.run(_TAKE_FROM_DAY, guessed)
    transaction.run(_TAKE_FROM_SPENDING, _spending(guess))
    transaction.run(_TAKE_FROM_CONVERSATION, guessed)
    transaction.run("DELETE FROM usage_daily WHERE day = :day AND requests = 0", guessed)
    # The latest entry of a conversation stays in it.
    params["conversation"] = guess.conversation or params["conversation"]
    return transaction.run(_REPLACE_ENTRY, params)


def _tokens(entry: Entry) -> int:
    return entry.prompt_tokens + entry.completion_tokens


def _spending(entry: Entry) -> Params:
    """An exchange counts in the window in which it ends: the windows of what is settled
    never go back.
    """
    ended = entry.at + entry.duration_ms
    windows = {period: window_of(period, ended) for period in PERIODS}
    subjects = {"user": entry.user_id, "key": entry.key_id}
    return windows | {
        "tokens": _tokens(entry),
        "cost_micros": entry.cost_micros or 0,
        **{
            kind: None if number is None else subject_of(kind, number)
            for kind, number in subjects.items()
        },
    }


_WINDOWS = " UNION ALL ".join(
    f"SELECT :{kind} AS subject, '{period}' AS period, :{period} AS \"window\""
    for kind in ("user", "key")
    for period in PERIODS
)
_SPEND = f"""
    INSERT INTO spending (subject, period, "window", tokens, cost_micros)
    SELECT subject, period, "window", :tokens, :cost_micros FROM ({_WINDOWS}) AS windows
    WHERE subject IS NOT NULL
    ON CONFLICT (subject, period) DO UPDATE SET
        tokens = CASE WHEN excluded."window" > spending."window" THEN excluded.tokens
            WHEN excluded."window" = spending."window" THEN spending.tokens + excluded.tokens
                ELSE spending.tokens END,
        cost_micros = CASE WHEN excluded."window" > spending."window" THEN excluded.cost_micros
            WHEN excluded."window" = spending."window"
                THEN spending.cost_micros + excluded.cost_micros
            ELSE spending.cost_micros END,
        "window" = CASE WHEN excluded."window" > spending."window" THEN excluded."window"
            ELSE spending."window" END
"""  # noqa: S608 - constants; the values are bound

_TAKE_FROM_SPENDING = f"""
    UPDATE spending SET tokens = tokens - :tokens, cost_micros = cost_micros - :cost_micros
    WHERE EXISTS (
        SELECT 1 FROM ({_WINDOWS}) AS windows
        WHERE windows.subject = spending.subject AND windows.period = spending.period
            AND windows."window" = spending."window"
    )
"""  # noqa: S608 - as above

_SUMMED = {
    "requests": "1",
    "failures": "CASE WHEN :error_class = '' THEN 0 ELSE 1 END",
    "estimated": ":estimated",
    "unpriced": ":unpriced",
    "prompt_tokens": ":prompt_tokens",
    "completion_tokens": ":completion_tokens",
    "reasoning_tokens": ":reasoning_tokens",
    "cached_tokens": ":cached_tokens",
    "cost_micros": ":counted_micros",
    "restored": ":restored",
    "missing": ":missing",
}
"""What an entry adds to each sum."""


_DAY = {
    "day": ":day",
    "user_id": "COALESCE(:user_id, 0)",
    "key_id": "COALESCE(:key_id, 0)",
    "upstream": ":upstream",
    "model": "CASE WHEN :upstream = '' THEN '' ELSE :model END",
    "upstream_model": ":upstream_model",
}
"""In which row of the days an entry counts."""


def _added(table: str) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _SUMMED)


_TAKEN = ", ".join(f"{name} = {name} - {value}" for name, value in _SUMMED.items())

_ADD_TO_DAY = f"""
    INSERT INTO usage_daily ({", ".join(_DAY)}, {", ".join(_SUMMED)})
    VALUES ({", ".join(_DAY.values())}, {", ".join(_SUMMED.values())})
    ON CONFLICT ({", ".join(_DAY)}) DO UPDATE SET {_added("usage_daily")}
"""  # noqa: S608 - constants; the values are bound

_TAKE_FROM_DAY = f"""
    UPDATE usage_daily SET {_TAKEN}
    WHERE {" AND ".join(f"{name} = {value}" for name, value in _DAY.items())}
"""  # noqa: S608 - as above

_LATEST = ("username", "upstream", "model", "upstream_model", "user_agent")
"""Of a conversation's latest entry. Entries of one that end together may be committed in another
order than their numbers.
"""

_ADD_TO_CONVERSATION = f"""
    INSERT INTO conversations (
        conversation, latest, user_id, {", ".join(_LATEST)}, first_at, last_at,
        {", ".join(_SUMMED)}
    )
    VALUES (
        :conversation, :id, COALESCE(:user_id, 0), {", ".join(f":{name}" for name in _LATEST)},
        :at, :at, {", ".join(_SUMMED.values())}
    )
    ON CONFLICT (conversation) DO UPDATE SET
        {
    ", ".join(
        f'''{name} = CASE WHEN excluded.latest >= conversations.latest
            THEN excluded.{name} ELSE conversations.{name} END'''
        for name in (*_LATEST, "latest")
    )
},
        first_at = CASE WHEN excluded.first_at < conversations.first_at
            THEN excluded.first_at ELSE conversations.first_at END,
        last_at = CASE WHEN excluded.last_at > conversations.last_at
            THEN excluded.last_at ELSE conversations.last_at END,
        {_added("conversations")}
"""  # noqa: S608 - as above

_TAKE_FROM_CONVERSATION = f"UPDATE conversations SET {_TAKEN} WHERE conversation = :conversation"  # noqa: S608 - as above

_INSERT_ENTRY = f"""
    INSERT INTO ledger ({ENTRY_COLUMNS})
    VALUES ({", ".join(f":{name}" for name in Entry.__struct_fields__)})
    ON CONFLICT (exchange) DO NOTHING RETURNING id
"""  # noqa: S608 - the names are those of the struct

_FIND_LOST = f"""
    SELECT {ENTRY_COLUMNS} FROM ledger WHERE exchange = :exchange AND error_class = :lost
"""  # noqa: S608 - as above

_REPLACE_ENTRY = f"""
    UPDATE ledger SET {", ".join(f"{name} = :{name}" for name in Entry.__struct_fields__)}
    WHERE exchange = :exchange RETURNING id
"""  # noqa: S608 - as above

_CLOSE = "DELETE FROM open_exchanges WHERE exchange = :exchange"


def drop_old(before_ms: int) -> Statement:
    """Let go of the oldest entries from before that time, 500 at most; a row for each. The sums
    per day stay.
    """
    sql = (
        "DELETE FROM ledger WHERE id IN (SELECT id FROM ledger WHERE at < :before "
        "ORDER BY at LIMIT 500) RETURNING id"
    )
    return sql, {"before": before_ms}


def drop_old_conversations() -> Statement:
    """Let go of conversations that have no entry any more, 500 at most; a row for each."""
    sql = f"""
        DELETE FROM conversations WHERE conversation IN (
            SELECT conversation FROM conversations
            WHERE latest < (SELECT COALESCE(MIN(id), {_NEVER}) FROM ledger)
                ORDER BY latest LIMIT 500
        ) RETURNING latest
    """  # noqa: S608 - a constant
    return sql, {}
