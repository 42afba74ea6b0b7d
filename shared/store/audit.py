"""The audit log: the verbs over the table `audit`, which is searched by any substring."""

import re
import zlib

import msgspec

from shared.store.dialect import Dialect
from shared.store.engine import Engine, Row, Statement, Transaction
from shared.store.paging import END, Source, read_newest

__all__ = (
    "AuditFilter",
    "AuditRecord",
    "NumberedRecord",
    "add_record",
    "drop_old_records",
    "find_record",
    "record_bytes",
    "search",
    "unpack_conversation",
)

_MAX_EXCHANGE_MS = 86_400_000
"""Ids follow the ends of exchanges, dates their beginnings: they differ by at most a day."""

_MAX_CONVERSATION = 32 * 1024 * 1024
"""Bytes of JSON; the data plane writes less than a quarter."""

_MIN_INDEXED = 3
"""An index of trigrams finds no shorter text (https://www.sqlite.org/fts5.html)."""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A user's request in one exchange."""

    exchange: str
    at: int
    """When the request arrived, epoch ms."""

    user_id: int
    username: str
    """The user's name at the time."""

    model: str
    """The requested model."""

    upstream: str
    status: int
    """HTTP status of the response; 0: there was none."""

    text: str
    """The last user message."""

    conversation: bytes | None = None
    """All messages and the answer as JSON, compressed by zlib; None if only the text is kept."""


class NumberedRecord(AuditRecord, frozen=True, kw_only=True):
    """A record with its id."""

    id: int


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records to find; None: any."""

    text: str = ""
    """A part of the text, ignoring case; in SQLite one or two characters that are not ASCII match
    exactly.
    """

    user_id: int | None = None
    model: str | None = None
    upstream: str | None = None
    since_ms: int | None = None
    before_ms: int | None = None


def add_record(record: AuditRecord) -> Statement:
    """Insert the record unless the exchange has one."""
    sql = """
        INSERT INTO audit (exchange, at, user_id, username, model, upstream, status, text,
            conversation, bytes)
        VALUES (:exchange, :at, :user_id, :username, :model, :upstream, :status, :text,
            :conversation, :bytes)
        ON CONFLICT (exchange) DO NOTHING
    """
    size = len(record.text.encode()) + len(record.conversation or b"")
    return sql, msgspec.structs.asdict(record) | {"bytes": size}


def record_bytes(transaction: Transaction) -> int:
    """What all records take; reads a whole index."""
    [(size,)] = transaction.run("SELECT coalesce(sum(bytes), 0) FROM audit")
    return int(size)


def drop_old_records(
    transaction: Transaction, *, before_ms: int, excess: int, batch: int = 500
) -> int:
    """Delete records from before that time, then the oldest as long as there are `excess` bytes
    too many; the bytes of those deleted.

    Each of the two deletes at most `batch`: repeat it until it deletes none.
    """
    expired = (
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < :before ORDER "
        "BY at LIMIT :batch) RETURNING bytes"
    )
    surplus = """
        DELETE FROM audit WHERE id IN (
            SELECT id FROM (
                SELECT id, sum(bytes) OVER (ORDER BY at, id) - bytes AS older
                FROM (SELECT id, at, bytes FROM audit ORDER BY at, id LIMIT :batch) AS oldest
            ) AS running
            WHERE older < :excess
        ) RETURNING bytes
    """
    freed = _sum(transaction.run(expired, {"before": before_ms, "batch": batch}))
    if freed >= excess:
        return freed
    return freed + _sum(transaction.run(surplus, {"excess": excess - freed, "batch": batch}))


def _sum(rows: list[Row]) -> int:
    return sum(size for (size,) in rows)


def find_record(engine: Engine, record_id: int) -> NumberedRecord | None:
    """Return the record with this id."""
    rows = engine.read((f"SELECT {_COLUMNS} FROM audit WHERE id = :id"), {"id": record_id})  # noqa: S608 - constants
    return _record_from(rows[0]) if rows else None


def search(
    engine: Engine,
    audit_filter: AuditFilter,
    *,
    before: int = END,
    limit: int = 50,
    longest: int | None = None,
) -> tuple[list[NumberedRecord], int | None]:
    """Return records newest first, and the `before` of the next page or None at the end.

    A page can be short before the end. `longest` shortens texts to so many characters and
    leaves out conversations.
    """
    after, newest = _ids_of(engine, audit_filter)
    columns = _COLUMNS
    if longest is not None:
        columns = _SHORTENED
    source, finds, sifts = _plan(engine.dialect, audit_filter, columns)
    rows, following = read_newest(
        engine,
        source,
        finds=finds,
        sifts=sifts,
        params=msgspec.structs.asdict(audit_filter)
        | {
            "longest": longest,
            "phrase": _phrase(audit_filter.text),
            "pattern": _pattern(audit_filter.text),
        },
        after=after,
        before=min(before, newest),
        limit=limit,
    )
    return [_record_from(row) for row in rows], following


def unpack_conversation(conversation: bytes) -> bytes:
    """Decompress a record's `conversation` to JSON; raises ValueError if it is damaged."""
    unpacking = zlib.decompressobj()
    try:
        json = unpacking.decompress(conversation, _MAX_CONVERSATION)
    except zlib.error as error:
        raise ValueError(f"not a compressed conversation: {error}") from None
    if not unpacking.eof:
        raise ValueError("not a whole conversation, or a larger one than is ever written")
    return json


_COLUMNS = ", ".join(f"audit.{name}" for name in NumberedRecord.__struct_fields__)
_SHORTENED = _COLUMNS.replace(
    "audit.text", "substr(audit.text, 1, CAST(:longest AS INTEGER))"
).replace("audit.conversation", "NULL")
_SIFTS = {
    "user_id": "audit.user_id = :user_id",
    "model": "audit.model = :model",
    "upstream": "audit.upstream = :upstream",
    "since_ms": "audit.at >= :since_ms",
    "before_ms": "audit.at < :before_ms",
}


def _plan(
    dialect: Dialect, audit_filter: AuditFilter, columns: str
) -> tuple[Source, list[str], list[str]]:
    """Return where to look, the conditions that find rows, and those that sift them."""
    sifts = {
        name: condition
        for name, condition in _SIFTS.items()
        if getattr(audit_filter, name) is not None
    }
    is_indexed = len(audit_filter.text) >= _MIN_INDEXED
    if is_indexed and (table := dialect.text_index):
        index = Source(
            found_in=table,
            number=f"{table}.rowid",
            read_from=f"{table} JOIN audit ON audit.id = {table}.rowid",
            columns=columns,
        )
        return index, [f"{table} MATCH :phrase"], [*sifts.values()]
    finds = []
    if is_indexed:
        finds.append(dialect.contains("audit.text"))
    elif audit_filter.text:
        sifts["text"] = dialect.contains("audit.text")
    if "user_id" in sifts:
        finds.append(sifts.pop("user_id"))
    return (
        Source(found_in="audit", number="audit.id", read_from="audit", columns=columns),
        finds,
        [*sifts.values()],
    )


def _phrase(text: str) -> str:
    """Quote a text for FTS5, so that nothing in it is an operator.

    https://www.sqlite.org/fts5.html#full_text_query_syntax
    """
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


def _pattern(text: str) -> str:
    """Return a LIKE pattern for texts that contain this one."""
    return f"%{re.sub(r'([\\%_])', r'\\\1', text)}%"


def _ids_of(engine: Engine, audit_filter: AuditFilter) -> tuple[int, int]:
    """Return two ids that enclose all records of the filter's times."""
    after, before = 0, END
    if audit_filter.since_ms is not None:
        sql = "SELECT id FROM audit WHERE at < :at ORDER BY at DESC LIMIT 1"
        rows = engine.read(sql, {"at": audit_filter.since_ms - _MAX_EXCHANGE_MS})
        after = max((row[0] for row in rows), default=after)
    if audit_filter.before_ms is not None:
        sql = "SELECT id FROM audit WHERE at >= :at ORDER BY at LIMIT 1"
        rows = engine.read(sql, {"at": audit_filter.before_ms + _MAX_EXCHANGE_MS})
        before = min((row[0] for row in rows), default=before)
    return after, before


def _record_from(row: Row) -> NumberedRecord:
    return NumberedRecord(**dict(zip(NumberedRecord.__struct_fields__, row, strict=True)))
