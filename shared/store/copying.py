"""Copies a database into another one, of the other engine too.

Rows are copied in the order of their keys, lot by lot, each in one transaction: what is there
already says where to go on after an interruption. Then all rows of both are compared.
"""

from collections.abc import Iterator, Mapping

from shared.errors import StoreError
from shared.store.engine import Engine, Row, Statement
from shared.store.ledger import DEAD_AFTER_MS

__all__ = ("TABLES", "CopyError", "copy_rows", "count_rows", "refuse_unfit", "verify_copy")

TABLES: Mapping[str, tuple[str, ...]] = {
    "users": ("id",),
    "virtual_keys": ("id",),
    "second_factors": ("user_id",),
    "recovery_codes": ("user_id", "digest"),
    "recall_turns": ("id",),
    "recall_keys": ("key", "turn"),
    "recall_sent": ("key",),
    "learned": ("endpoint",),
    "spending": ("subject", "period"),
    "nodes": ("node",),
    "open_exchanges": ("exchange",),
    "ledger": ("id",),
    "usage_daily": ("day", "user_id", "key_id", "upstream", "model", "upstream_model"),
    "conversations": ("conversation",),
    "token_ratios": ("model",),
    "prices": ("id",),
    "audit": ("id",),
    "upstreams": ("id",),
    "settings": ("name",),
    "ended_sessions": ("jti",),
    "resting_keys": ("upstream", "key_digest"),
    "answers": ("id",),
    "upstream_models": ("upstream",),
}
"""The tables and their keys, those that others refer to before them. Left out is what triggers
keep, and what a database notes of itself.
"""

_LOT = 200
_MARK = "copying"
_NUMBERED = ("users", "virtual_keys", "ledger", "prices", "audit", "upstreams")
"""Tables in which no number is given twice, even if its row is gone."""


class CopyError(StoreError):
    """The copy was not made, or is none; the message says why."""


def refuse_unfit(source: Engine, target: Engine, now_ms: int) -> None:
    """Raise CopyError while nodes use one of them, or if the target has rows of its own; mark
    it as a copy that has begun.
    """
    for engine in (source, target):
        alive = {"alive": now_ms - DEAD_AFTER_MS}
        if _is_marked(target) and engine is target:
            continue  # its nodes are the source's
        if engine.read("SELECT 1 FROM nodes WHERE seen_at > :alive LIMIT 1", alive):
            raise CopyError(
                "A gateway has used the database in the last minute: stop all of them first, and "
                "try again in a minute."
            )
    if not _is_marked(target) and any(_count(target, table) for table in TABLES):
        raise CopyError("The database to copy to is not empty: name a new one.")
    sql = "INSERT INTO installation (name, value) VALUES (:name, '') ON CONFLICT DO NOTHING"
    target.transact(lambda transaction: transaction.run(sql, {"name": _MARK}), alone=())


def count_rows(engine: Engine) -> int:
    """How many rows there are to copy."""
    return sum(_count(engine, table) for table in TABLES)


def copy_rows(source: Engine, target: Engine) -> Iterator[int]:
    """Copy what is missing, telling after each lot of how many rows it was, those included that
    were there.
    """
    for table, keys in TABLES.items():
        columns = _columns(source, table)
        yield _count(target, table)
        for lot in _lots(source, table, columns, after=_last(target, table, keys)):
            places = ", ".join(f":{name}" for name in columns)
            sql = f"INSERT INTO {table} ({_names(columns)}) VALUES ({places})"  # noqa: S608 - ours
            rows: list[Statement] = [(sql, dict(zip(columns, row, strict=True))) for row in lot]
            if not target.try_write(rows, overtake=True):
                raise CopyError("The database to copy to can't be written now: run this again.")
            yield len(lot)
    for table in _NUMBERED:
        _go_on_numbering(target, table, _last_number(source, table))


def verify_copy(source: Engine, target: Engine) -> Iterator[int]:
    """Compare all rows, telling after each lot of how many; raises CopyError for a difference."""
    for table in TABLES:
        columns = _columns(source, table)
        theirs = _lots(target, table, columns)
        for lot in _lots(source, table, columns):
            if next(theirs, []) != lot:
                raise CopyError(
                    f"The rows of {table} are not the same: something has changed them."
                )
            yield len(lot)
        if next(theirs, None):
            raise CopyError(f"There are more rows of {table} than in the source.")
    sql = "DELETE FROM installation WHERE name = :name"
    target.transact(lambda transaction: transaction.run(sql, {"name": _MARK}), alone=())


def _is_marked(engine: Engine) -> bool:
    return bool(engine.read("SELECT 1 FROM installation WHERE name = :name", {"name": _MARK}))


def _count(engine: Engine, table: str) -> int:
    [(count,)] = engine.read(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours
    return int(count)


def _columns(engine: Engine, table: str) -> list[str]:
    """The table's columns, its key before all."""
    sql = "SELECT name FROM pragma_table_info(:table)"
    if engine.remote:
        sql = "SELECT column_name FROM information_schema.columns WHERE table_name = :table"
    names = {name for (name,) in engine.read(sql, {"table": table})}
    return [*TABLES[table], *sorted(names - set(TABLES[table]))]


def _names(columns: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _lots(
    engine: Engine, table: str, columns: list[str], after: Row | None = None
) -> Iterator[list[Row]]:
    """The rows in the order of their keys, from the one after that key on."""
    keys = TABLES[table]
    while True:
        beyond = "1 = 1"
        if after:
            places = ", ".join(f":after{at}" for at in range(len(keys)))
            beyond = f"({', '.join(keys)}) > ({places})"
        sql = f"""
            SELECT {_names(columns)} FROM {table} WHERE {beyond}
            ORDER BY {", ".join(keys)} LIMIT {_LOT}
        """  # noqa: S608 - ours
        params = {f"after{at}": value for at, value in enumerate(after or ())}
        rows = [tuple(map(_without_nul, row)) for row in engine.read(sql, params)]
        if not rows:
            return
        yield rows
        after = rows[-1][: len(keys)]


def _without_nul(value: object) -> object:
    """PostgreSQL's text holds no NUL."""
    if isinstance(value, str):
        return value.replace("\0", "\N{SYMBOL FOR NULL}")
    return value


def _last(engine: Engine, table: str, keys: tuple[str, ...]) -> Row | None:
    names = ", ".join(keys)
    order = ", ".join(f"{key} DESC" for key in keys)
    rows = engine.read(f"SELECT {names} FROM {table} ORDER BY {order} LIMIT 1")  # noqa: S608 - ours
    return rows[0] if rows else None


def _last_number(engine: Engine, table: str) -> int:
    """The highest number that a row ever had."""
    if engine.remote:
        rows = engine.read(f"SELECT last_value FROM {table}_id_seq WHERE is_called")  # noqa: S608
    else:
        rows = engine.read("SELECT seq FROM sqlite_sequence WHERE name = :table", {"table": table})
    return int(rows[0][0]) if rows else 0


def _go_on_numbering(engine: Engine, table: str, last: int) -> None:
    """Give the next row a higher number than the last one."""
    if not last:
        return
    statements = ["DELETE FROM sqlite_sequence WHERE name = :table"]
    statements.append("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)")
    if engine.remote:
        statements = [f"SELECT setval('{table}_id_seq', :last)"]
    params = {"table": table, "last": last}
    engine.transact(lambda work: [work.run(sql, params) for sql in statements], alone=())
