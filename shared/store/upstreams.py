"""Upstreams from the web pages: the verbs over the table `upstreams`.

Keys and headers, which may be secret, are sealed to the row's id; the rest is JSON.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from shared.config.check import check
from shared.config.lines import key_text
from shared.config.overrides import DatabaseUpstream
from shared.config.rules import RULES
from shared.config.schema import Upstream
from shared.errors import StoreError
from shared.security.sealing import SealError, seal, unseal
from shared.store.engine import Engine, Row, Transaction
from shared.store.subjects import folded
from shared.store.versions import change_topic

__all__ = (
    "UpstreamNameTaken",
    "UpstreamRow",
    "add_upstream",
    "find_upstream",
    "list_upstreams",
    "move_upstream",
    "remove_upstream",
    "replace_upstream",
    "reseal_upstreams",
    "upstream_faults",
)

_COLUMNS = "id, name, body, sealed"
_SEALED = frozenset({"api_keys", "headers"})


class UpstreamNameTaken(StoreError):
    """Another upstream in the database has this name, ignoring case."""


class UpstreamRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row, whose upstream may be unusable."""

    id: int
    name: str
    upstream: DatabaseUpstream | None = None
    problem: str = ""
    """Why it is unusable."""

    is_sealed: bool = False
    """Whether it is so because another secret sealed it."""


def list_upstreams(engine: Engine, secret: bytes) -> list[UpstreamRow]:
    """List all in their order; cheap while nothing changes."""
    rows = engine.read(f"SELECT {_COLUMNS} FROM upstreams ORDER BY position, id")  # noqa: S608 - ours
    return [_opened(secret, row) for row in rows]


def find_upstream(engine: Engine, secret: bytes, upstream_id: int) -> UpstreamRow | None:
    """Return the row with this id."""
    rows = engine.read((f"SELECT {_COLUMNS} FROM upstreams WHERE id = :id"), {"id": upstream_id})  # noqa: S608 - ours
    return _opened(secret, rows[0]) if rows else None


def add_upstream(engine: Engine, secret: bytes, upstream: Upstream, now: int) -> int:
    """Add an upstream after the others and return its id; raises UpstreamNameTaken."""

    def work(transaction: Transaction) -> int:
        _refuse_taken(transaction, upstream.name, but=0)
        [(upstream_id,)] = transaction.run(
            """
            INSERT INTO upstreams (name, position, body, sealed, created_at, updated_at)
            SELECT :name, coalesce(max(position), 0) + 1, '{}', :nothing, :now, :now FROM upstreams
            RETURNING id
            """,
            {"name": upstream.name, "nothing": b"", "now": now},
        )
        _write(transaction, secret, upstream_id, upstream, now)
        return int(upstream_id)

    return change_topic(engine, "configuration", work)


def replace_upstream(
    engine: Engine, secret: bytes, upstream_id: int, upstream: Upstream, now: int
) -> bool:
    """Replace an upstream; return False if it does not exist. Raises UpstreamNameTaken."""

    def work(transaction: Transaction) -> bool:
        _refuse_taken(transaction, upstream.name, but=upstream_id)
        return _write(transaction, secret, upstream_id, upstream, now)

    return change_topic(engine, "configuration", work)


def remove_upstream(engine: Engine, upstream_id: int) -> bool:
    """Delete an upstream; return False if it does not exist."""
    sql = "DELETE FROM upstreams WHERE id = :id RETURNING id"
    params = {"id": upstream_id}
    return bool(change_topic(engine, "configuration", lambda work: work.run(sql, params)))


def move_upstream(engine: Engine, upstream_id: int, position: int) -> bool:
    """Move an upstream to a position from 1 or to the end; return False if it does not exist."""

    def work(transaction: Transaction) -> bool:
        rows = transaction.run("SELECT id FROM upstreams ORDER BY position, id")
        ids = [row_id for (row_id,) in rows]
        if upstream_id not in ids:
            return False
        ids.remove(upstream_id)
        ids.insert(position - 1, upstream_id)
        for place, each in enumerate(ids, 1):
            transaction.run(
                "UPDATE upstreams SET position = :place WHERE id = :id",
                {"place": place, "id": each},
            )
        return True

    return change_topic(engine, "configuration", work)


def reseal_upstreams(transaction: Transaction, old: bytes, new: bytes) -> int:
    """Seal every row with the new secret; return how many. Raises SealError for one that the
    old secret does not open.
    """
    rows = transaction.run("SELECT id, sealed FROM upstreams")
    for upstream_id, sealed in rows:
        place = _place(upstream_id)
        again = seal(new, unseal(old, sealed, bound_to=place), bound_to=place)
        transaction.run(
            "UPDATE upstreams SET sealed = :sealed WHERE id = :id",
            {"sealed": again, "id": upstream_id},
        )
    return len(rows)


def upstream_faults(body: Mapping[str, Any]) -> dict[str, str]:
    """Check an upstream in plain values by the rules of the file; return faults by key."""
    findings = check(dict(body), inspect.type_info(Upstream), RULES, "upstreams[]")
    return {key_text(finding.path): finding.message for finding in findings}


def _refuse_taken(transaction: Transaction, name: str, *, but: int) -> None:
    sql = "SELECT 1 FROM upstreams WHERE lower(name) = :folded AND id <> :but"
    if transaction.run(sql, {"folded": folded(name), "but": but}):
        raise UpstreamNameTaken(f"There is already an upstream “{name}”: choose another name.")


def _write(
    transaction: Transaction, secret: bytes, upstream_id: int, upstream: Upstream, now: int
) -> bool:
    plain = msgspec.to_builtins(upstream)
    body = {key: value for key, value in plain.items() if key not in _SEALED | {"id"}}
    if not body.get("local"):
        body.pop("local", None)  # an earlier version reads no such member
    hidden = msgspec.json.encode({key: plain[key] for key in _SEALED})
    sql = """
        UPDATE upstreams SET name = :name, body = :body, sealed = :sealed, updated_at = :now
        WHERE id = :id RETURNING id
    """
    params = {
        "id": upstream_id,
        "name": body.pop("name"),
        "body": msgspec.json.encode(body).decode(),
        "sealed": seal(secret, hidden, bound_to=_place(upstream_id)),
        "now": now,
    }
    return bool(transaction.run(sql, params))


@lru_cache(maxsize=256)
def _opened(secret: bytes, row: Row) -> UpstreamRow:
    """Open a row of `_COLUMNS`; the cache matters, as both programs read every change."""
    upstream_id, name, body, sealed = row
    try:
        hidden = unseal(secret, sealed, bound_to=_place(upstream_id))
        plain = {"name": name, **msgspec.json.decode(body), **msgspec.json.decode(hidden)}
    except SealError as error:
        problem = f"its keys can't be opened: {error}"
        return UpstreamRow(id=upstream_id, name=name, problem=problem, is_sealed=True)
    except (msgspec.DecodeError, TypeError):
        return UpstreamRow(id=upstream_id, name=name, problem="its row can't be read")
    own = {"id": upstream_id, "local": plain.pop("local", False) is True}
    if faults := upstream_faults(plain):
        problem = "; ".join(f"{key}: {message}" for key, message in faults.items())
        return UpstreamRow(id=upstream_id, name=name, problem=problem)
    return UpstreamRow(
        id=upstream_id,
        name=name,
        upstream=msgspec.convert(plain | own, DatabaseUpstream),
    )


def _place(upstream_id: int) -> str:
    return f"upstream:{upstream_id}"
