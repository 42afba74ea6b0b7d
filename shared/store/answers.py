"""Stored answers of the Responses API: the verbs over the table `answers`."""

import msgspec

from shared.store.engine import Engine, Row, Statement, Transaction

__all__ = (
    "StoredAnswer",
    "add_answer",
    "answer_bytes",
    "delete_answer",
    "drop_old_answers",
    "find_answer",
    "find_answers_before",
)


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, with its request, that only its caller can read."""

    id: str
    principal: str
    created_at: int
    """Epoch milliseconds."""

    previous: str
    """The id of the answer it continues, or empty."""

    items: bytes
    """The request's own input, a JSON array, compressed by zlib."""

    response: bytes
    """The response object, JSON, compressed by zlib."""

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return len(self.items) + len(self.response)


def add_answer(answer: StoredAnswer) -> Statement:
    """Insert the answer unless its id exists."""
    sql = """
        INSERT INTO answers (id, principal, created_at, previous, items, response, bytes)
        VALUES (:id, :principal, :created_at, :previous, :items, :response, :bytes)
        ON CONFLICT (id) DO NOTHING
    """
    return sql, msgspec.structs.asdict(answer) | {"bytes": answer.size}


def delete_answer(principal: str, answer_id: str) -> Statement:
    """Delete the caller's answer."""
    return "DELETE FROM answers WHERE id = :id AND principal = :principal", {
        "id": answer_id,
        "principal": principal,
    }


def answer_bytes(transaction: Transaction) -> int:
    """What all answers take; reads a whole index."""
    [(size,)] = transaction.run("SELECT coalesce(sum(bytes), 0) FROM answers")
    return int(size)


def drop_old_answers(
    transaction: Transaction, *, before_ms: int, excess: int, batch: int = 5_000
) -> int:
    """Delete answers from before that time, then the oldest as long as there are `excess` bytes
    too many; the bytes of those deleted.

    Each of the two deletes at most `batch`: repeat it until it deletes none.
    """
    expired = """
        DELETE FROM answers WHERE id IN (
            SELECT id FROM answers WHERE created_at < :before ORDER BY created_at LIMIT :batch
        ) RETURNING bytes
    """
    surplus = """
        DELETE FROM answers WHERE id IN (
            SELECT id FROM (
                SELECT id, sum(bytes) OVER (ORDER BY created_at, id) - bytes AS older
                FROM (SELECT id, created_at, bytes FROM answers ORDER BY created_at,
                    id LIMIT :batch) AS oldest
            ) AS running
            WHERE older < :excess
        ) RETURNING bytes
    """
    freed = _sum(transaction.run(expired, {"before": before_ms, "batch": batch}))
    if freed >= excess:
        return freed
    params = {"excess": excess - freed, "batch": batch}
    return freed + _sum(transaction.run(surplus, params))


def _sum(rows: list[Row]) -> int:
    return sum(size for (size,) in rows)


def find_answer(
    engine: Engine, principal: str, answer_id: str, *, since_ms: int
) -> StoredAnswer | None:
    """Return the caller's answer unless it is from before that time."""
    rows = engine.read(
        """
        SELECT id, principal, created_at, previous, items, response FROM answers
        WHERE id = :id AND principal = :principal AND created_at >= :since
        """,
        {"id": answer_id, "principal": principal, "since": since_ms},
    )
    return _answer_from(rows[0]) if rows else None


def find_answers_before(
    engine: Engine, principal: str, answer_id: str, *, since_ms: int, most: int, most_bytes: int
) -> list[StoredAnswer]:
    """Return the caller's answer and those that it goes on from, newest first: up to one that is
    not there or is from before that time, but no more than `most`, nor any after that with which
    they take more than `most_bytes`.
    """
    rows = engine.read(
        """
        WITH RECURSIVE line (id, previous, number, total) AS (
            SELECT id, previous, 1, bytes FROM answers
            WHERE id = :id AND principal = :principal AND created_at >= :since
            UNION ALL
            SELECT before.id, before.previous, line.number + 1, line.total + before.bytes
            FROM line JOIN answers AS before ON before.id = line.previous
            WHERE before.principal = :principal AND before.created_at >= :since
                AND line.number < :most AND line.total <= :most_bytes
        )
        SELECT answers.id, principal, created_at, answers.previous, items, response
        FROM line JOIN answers ON answers.id = line.id ORDER BY line.number
        """,
        {
            "id": answer_id,
            "principal": principal,
            "since": since_ms,
            "most": most,
            "most_bytes": most_bytes,
        },
    )
    return [_answer_from(row) for row in rows]


def _answer_from(row: Row) -> StoredAnswer:
    return StoredAnswer(**dict(zip(StoredAnswer.__struct_fields__, row, strict=True)))
