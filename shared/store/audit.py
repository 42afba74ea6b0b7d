"""The audit: what users asked, kept for a time and searched by any part of it."""

import re
import zlib

import msgspec

from shared.store.engine import Engine, Row, Statement
from shared.store.paging import END, Source, read_newest

__all__ = (
    "AuditFilter",
    "AuditRecord",
    "StoredRecord",
    "add_record",
    "drop_old_records",
    "find_record",
    "search",
    "unpacked",
)

_LONGEST_EXCHANGE_MS = 86_400_000
"""Records are numbered as exchanges end and dated as they begin: ids follow dates as
closely as this.
"""

_LARGEST_CONVERSATION = 32 * 1024 * 1024
"""Bytes of JSON; the data plane writes less than a quarter."""

_SHORTEST_INDEXED = 3


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asked in one exchange."""

    exchange: str
    at: int
    """When the request came, epoch ms."""

    user_id: int
    username: str
    """The name the user had then."""

    model: str
    """The one that was asked for."""

    upstream: str
    status: int
    """HTTP status of the answer; 0: there was none."""

    text: str
    """The last user message."""

    conversation: bytes | None = None
    """All messages and the answer: JSON, compressed by zlib; None where only the text is kept."""


class StoredRecord(AuditRecord, frozen=True, kw_only=True):
    """A record as it is read."""

    id: int


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are looked for; None: any."""

    text: str = ""
    """Any part of the text, in any case; one or two characters that are not ASCII in this
    case only.
    """

    user_id: int | None = None
    model: str | None = None
    upstream: str | None = None
    since_ms: int | None = None
    before_ms: int | None = None


def add_record(record: AuditRecord) -> Statement:
    """Keep the record, unless the exchange has one."""
    sql = """
        INSERT INTO audit (exchange, at, user_id, username, model, upstream, status, text,
            conversation, bytes)
        VALUES (:exchange, :at, :user_id, :username, :model, :upstream, :status, :text,
            :conversation, :bytes)
        ON CONFLICT (exchange) DO NOTHING
    """
    size = len(record.text.encode()) + len(record.conversation or b"")
    return sql, msgspec.structs.asdict(record) | {"bytes": size}


def drop_old_records(*, before_ms: int, max_bytes: int, batch: int = 500) -> list[Statement]:
    """Let go of records from before that time, then of the oldest while all are larger than
    `max_bytes`.

    Each of the two lets go of `batch` at most: to be repeated.
    """
    expired = (
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < :before ORDER "
        "BY at LIMIT :batch)"
    )
    surplus = """
        DELETE FROM audit WHERE id IN (
            SELECT id FROM (
                SELECT id, sum(bytes) OVER (ORDER BY at, id) - bytes AS older
                FROM (SELECT id, at, bytes FROM audit ORDER BY at, id LIMIT :batch) AS oldest
            ) AS running
            WHERE older < (SELECT sum(bytes) FROM audit) - :max_bytes
        )
    """
    return [
        (expired, {"before": before_ms, "batch": batch}),
        (surplus, {"max_bytes": max_bytes, "batch": batch}),
    ]


def find_record(engine: Engine, record_id: int) -> StoredRecord | None:
    """The record with this id."""
    rows = engine.read((f"SELECT {_COLUMNS} FROM audit WHERE id = :id"), {"id": record_id})  # noqa: S608 - constants
    return _record_from(rows[0]) if rows else None


def search(
    engine: Engine,
    wanted: AuditFilter,
    *,
    before: int = END,
    limit: int = 50,
    longest: int | None = None,
) -> tuple[list[StoredRecord], int | None]:
    """Records newest first, and the `before` of the next page; None when there is nothing more.

    A page can be short before the end. With `longest`, texts have so many characters at
    most and conversations are left out.
    """
    after, newest = _ids_of(engine, wanted)
    source, finds, sifts = _plan(wanted, _COLUMNS if longest is None else _SHORTENED)
    rows, following = read_newest(
        engine,
        source,
        finds=finds,
        sifts=sifts,
        params=msgspec.structs.asdict(wanted)
        | {"longest": longest, "phrase": _phrase(wanted.text), "pattern": _pattern(wanted.text)},
        after=after,
        before=min(before, newest),
        limit=limit,
    )
    return [_record_from(row) for row in rows], following


def unpacked(conversation: bytes) -> bytes:
    """The JSON in a record's `conversation`; ValueError when it is none, or larger than any."""
    unpacking = zlib.decompressobj()
    try:
        json = unpacking.decompress(conversation, _LARGEST_CONVERSATION)
    except zlib.error as error:
        raise ValueError(f"not a compressed conversation: {error}") from None
    if not unpacking.eof:
        raise ValueError("not a whole conversation, or a larger one than is ever written")
    return json


_COLUMNS = ", ".join(f"audit.{name}" for name in StoredRecord.__struct_fields__)
_SHORTENED = _COLUMNS.replace("audit.text", "substr(audit.text, 1, :longest)").replace(
    "audit.conversation", "NULL"
)
_SIFTS = {
    "user_id": "audit.user_id = :user_id",
    "model": "audit.model = :model",
    "upstream": "audit.upstream = :upstream",
    "since_ms": "audit.at >= :since_ms",
    "before_ms": "audit.at < :before_ms",
}


def _plan(wanted: AuditFilter, columns: str) -> tuple[Source, list[str], list[str]]:
    """Where to look, the conditions that find, and those that sift."""
    sifts = {
        name: condition for name, condition in _SIFTS.items() if getattr(wanted, name) is not None
    }
    if len(wanted.text) >= _SHORTEST_INDEXED:
        index = Source(
            found_in="audit_search",
            number="audit_search.rowid",
            read_from="audit_search JOIN audit ON audit.id = audit_search.rowid",
            columns=columns,
        )
        return index, ["audit_search MATCH :phrase"], [*sifts.values()]
    finds = [sifts.pop("user_id")] if "user_id" in sifts else []
    if wanted.text:
        sifts["text"] = r"audit.text LIKE :pattern ESCAPE '\'"
    return (
        Source(found_in="audit", number="audit.id", read_from="audit", columns=columns),
        finds,
        [*sifts.values()],
    )


def _phrase(text: str) -> str:
    """An FTS5 string: nothing in it is an operator
    (https://www.sqlite.org/fts5.html#full_text_query_syntax).
    """
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


def _pattern(text: str) -> str:
    """A LIKE pattern for texts that hold this one."""
    return f"%{re.sub(r'([\\%_])', r'\\\1', text)}%"


def _ids_of(engine: Engine, wanted: AuditFilter) -> tuple[int, int]:
    """Two ids between which those of all records of the wanted times are."""
    since = 0 if wanted.since_ms is None else wanted.since_ms
    before = END if wanted.before_ms is None else wanted.before_ms
    older = engine.read(
        "SELECT id FROM audit WHERE at < :at ORDER BY at DESC LIMIT 1",
        {"at": since - _LONGEST_EXCHANGE_MS},
    )
    newer = engine.read(
        "SELECT id FROM audit WHERE at >= :at ORDER BY at LIMIT 1",
        {"at": before + _LONGEST_EXCHANGE_MS},
    )
    return older[0][0] if older else 0, newer[0][0] if newer else END


def _record_from(row: Row) -> StoredRecord:
    return StoredRecord(**dict(zip(StoredRecord.__struct_fields__, row, strict=True)))
