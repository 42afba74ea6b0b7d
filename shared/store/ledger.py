"""The ledger: what every exchange used, and the reservations of those that run.

A row is written once for each exchange, together with the day's sums and what its user and
key have spent: all of it commits or none, and an exchange that is already in the ledger
changes nothing. A node shows that it lives by `beat`; `settle_lost` writes the rows of
exchanges whose node died.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from shared.model import Period
from shared.periods import day_of, window_of
from shared.store.engine import Engine, Params, Row, Statement, Transaction

__all__ = (
    "DEAD_AFTER_MS",
    "ENTRY_COLUMNS",
    "Balance",
    "Entry",
    "Opening",
    "Ratio",
    "balance_in",
    "balance_of",
    "beat",
    "drop_old",
    "drop_old_conversations",
    "entry_from",
    "exchange_name",
    "learn_ratio",
    "note_progress",
    "open_exchange",
    "read_ratio",
    "settle",
    "settle_lost",
    "subject_of",
)

DEAD_AFTER_MS = 40_000
"""A node that has not beaten for so long is dead: its reservations no longer count."""

_NODE_SHOWN_MS = 86_400_000
"""Dead nodes are listed for a day."""

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


# -- nodes -----------------------------------------------------------------------------------------


def beat(node: str, version: str, started_at: int, now_ms: int) -> Statement:
    """Note that a node lives."""
    sql = """
        INSERT INTO nodes (node, version, started_at, seen_at) VALUES (:node, :version,
            :started_at, :now)
        ON CONFLICT (node) DO UPDATE SET seen_at = excluded.seen_at
    """
    return sql, {"node": node, "version": version, "started_at": started_at, "now": now_ms}


def settle_lost(transaction: Transaction, now_ms: int) -> int:
    """Settle what dead nodes left open, 200 exchanges at most; how many those were."""
    rows = transaction.run(
        """
        SELECT o.entry, COALESCE(n.seen_at, o.at) FROM open_exchanges o LEFT
            JOIN nodes n ON n.node = o.node
        WHERE COALESCE(n.seen_at, 0) <= :dead ORDER BY o.at, o.exchange LIMIT 200
        """,
        {"dead": now_ms - DEAD_AFTER_MS},
    )
    for text, seen_at in rows:
        entry = msgspec.json.decode(text, type=Entry)
        lasted = max(0, seen_at - entry.at)
        for sql, params in settle(
            replace(entry, status=0, error_class="lost", estimated=True, duration_ms=lasted)
        ):
            transaction.run(sql, params)
    forgotten = {"before": now_ms - _NODE_SHOWN_MS}
    transaction.run("DELETE FROM nodes WHERE seen_at < :before", forgotten)
    return len(rows)


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
    params: Params = {
        "subject": subject,
        "number": int(number),
        "period": period,
        "window": window_of(period, now_ms),
        "alive": now_ms - DEAD_AFTER_MS,
    }
    spent = run(
        (
            "SELECT tokens, cost_micros FROM spending WHERE subject = :subject AND "
            # A later window is one from before the clock was put back: that gives no new quota.
            'period = :period AND "window" >= :window'
        ),
        params,
    )
    [reserved] = run(_RESERVED[kind], params)
    tokens, cost_micros = spent[0] if spent else (0, 0)
    return Balance(
        tokens=tokens,
        cost_micros=cost_micros,
        reserved_tokens=reserved[0],
        reserved_cost_micros=reserved[1],
    )


_RESERVED = {
    "user": """
        SELECT COALESCE(SUM(o.reserved_tokens), 0), COALESCE(SUM(o.reserved_cost_micros), 0)
        FROM open_exchanges o JOIN nodes n ON n.node = o.node
        WHERE o.user_id = :number AND n.seen_at > :alive
    """,
    "key": """
        SELECT COALESCE(SUM(o.reserved_tokens), 0), COALESCE(SUM(o.reserved_cost_micros), 0)
        FROM open_exchanges o JOIN nodes n ON n.node = o.node
        WHERE o.key_id = :number AND n.seen_at > :alive
    """,
}


# -- settlement ------------------------------------------------------------------------------------


def settle(entry: Entry) -> list[Statement]:
    """Write the entry, add it to the sums and release what was reserved; to be committed as one."""
    params = msgspec.structs.asdict(entry) | {
        "streamed": int(entry.streamed),
        "estimated": int(entry.estimated),
        "day": day_of(entry.at),
        "unpriced": int(entry.cost_micros is None and _tokens(entry) > 0),
        "counted_micros": entry.cost_micros or 0,
    }
    statements: list[Statement] = [(_ADD_TO_DAY, params)]
    if _tokens(entry):
        statements.append(_spend(entry))
    statements.append((_INSERT_ENTRY, params))
    if entry.conversation:
        statements.append((_ADD_TO_CONVERSATION, params))
    return [
        *statements,
        ("DELETE FROM open_exchanges WHERE exchange = :exchange", {"exchange": entry.exchange}),
    ]


def _tokens(entry: Entry) -> int:
    return entry.prompt_tokens + entry.completion_tokens


def _spend(entry: Entry) -> Statement:
    """An exchange counts in the window in which it ends: the windows of what is settled
    never go back.
    """
    ended = entry.at + entry.duration_ms
    windows = {period: window_of(period, ended) for period in PERIODS}
    subjects = {"user": entry.user_id, "key": entry.key_id}
    return _SPEND, windows | {
        "exchange": entry.exchange,
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
    WHERE subject IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ledger WHERE exchange = :exchange)
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


def _added(table: str) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _SUMMED)


_ADD_TO_DAY = f"""
    INSERT INTO usage_daily (day, user_id, key_id, upstream, model, upstream_model,
        {", ".join(_SUMMED)})
    SELECT
        :day, COALESCE(:user_id, 0), COALESCE(:key_id, 0), :upstream,
        CASE WHEN :upstream = '' THEN '' ELSE :model END, :upstream_model,
        {", ".join(_SUMMED.values())}
    WHERE NOT EXISTS (SELECT 1 FROM ledger WHERE exchange = :exchange)
    ON CONFLICT (day, user_id, key_id, upstream, model, upstream_model) DO UPDATE
        SET {_added("usage_daily")}
"""  # noqa: S608 - constants; the values are bound

# An entry that was in the ledger before is not newer than the latest one of its conversation.
_ADD_TO_CONVERSATION = f"""
    INSERT INTO conversations (
        conversation, latest, user_id, username, upstream, model, upstream_model,
            user_agent, first_at, last_at,
        {", ".join(_SUMMED)}
    )
    SELECT
        :conversation, id, COALESCE(:user_id, 0), :username, :upstream, :model,
            :upstream_model, :user_agent, :at, :at,
        {", ".join(_SUMMED.values())}
    FROM ledger WHERE exchange = :exchange AND conversation = :conversation
    ON CONFLICT (conversation) DO UPDATE SET
        latest = excluded.latest,
        username = excluded.username,
        upstream = excluded.upstream,
        model = excluded.model,
        upstream_model = excluded.upstream_model,
        user_agent = excluded.user_agent,
        first_at = CASE WHEN excluded.first_at < conversations.first_at
            THEN excluded.first_at ELSE conversations.first_at END,
        last_at = CASE WHEN excluded.last_at > conversations.last_at
            THEN excluded.last_at ELSE conversations.last_at END,
        {_added("conversations")}
    WHERE excluded.latest > conversations.latest
"""  # noqa: S608 - as above

_INSERT_ENTRY = f"""
    INSERT INTO ledger ({ENTRY_COLUMNS})
    VALUES ({", ".join(f":{name}" for name in Entry.__struct_fields__)})
    ON CONFLICT (exchange) DO NOTHING
"""  # noqa: S608 - the names are those of the struct


def drop_old(before_ms: int) -> Statement:
    """Let go of the oldest entries from before that time, 500 at most; the sums per day stay."""
    sql = (
        "DELETE FROM ledger WHERE id IN (SELECT id FROM ledger WHERE at < :before "
        "ORDER BY at LIMIT 500)"
    )
    return sql, {"before": before_ms}


def drop_old_conversations() -> Statement:
    """Let go of conversations that have no entry any more, 500 at most."""
    sql = f"""
        DELETE FROM conversations WHERE conversation IN (
            SELECT conversation FROM conversations
            WHERE latest < (SELECT COALESCE(MIN(id), {_NEVER}) FROM ledger)
                ORDER BY latest LIMIT 500
        )
    """  # noqa: S608 - a constant
    return sql, {}


# -- tokens and bytes ------------------------------------------------------------------------------


class Ratio(msgspec.Struct, frozen=True):
    """How many bytes of a model's prompts and answers made how many tokens, as its upstream
    counted them.
    """

    prompt_bytes: int = 0
    prompt_tokens: int = 0
    answer_bytes: int = 0
    answer_tokens: int = 0


def learn_ratio(model: str, seen: Ratio) -> Statement:
    """Add what an upstream counted; older counts weigh less and less."""
    sql = """
        INSERT INTO token_ratios (model, prompt_bytes, prompt_tokens, answer_bytes, answer_tokens)
        VALUES (:model, :prompt_bytes, :prompt_tokens, :answer_bytes, :answer_tokens)
        ON CONFLICT (model) DO UPDATE SET
            prompt_bytes = token_ratios.prompt_bytes - token_ratios.prompt_bytes / 20 +
                excluded.prompt_bytes,
            prompt_tokens = token_ratios.prompt_tokens - token_ratios.prompt_tokens / 20 +
                excluded.prompt_tokens,
            answer_bytes = token_ratios.answer_bytes - token_ratios.answer_bytes / 20 +
                excluded.answer_bytes,
            answer_tokens = token_ratios.answer_tokens - token_ratios.answer_tokens / 20 +
                excluded.answer_tokens
    """
    return sql, msgspec.structs.asdict(seen) | {"model": model}


def read_ratio(engine: Engine, model: str) -> Ratio:
    """What is known of a model; zeros when nothing is."""
    rows = engine.read(
        (
            "SELECT prompt_bytes, prompt_tokens, answer_bytes, answer_tokens FROM "
            "token_ratios WHERE model = :model"
        ),
        {"model": model},
    )
    return Ratio(*rows[0]) if rows else Ratio()
