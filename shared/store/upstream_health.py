"""How upstreams do, by the newest exchanges in the ledger."""

from collections import Counter

import msgspec

from shared.store.engine import Engine, Row
from shared.store.ledger import ENTRY_COLUMNS, entry_from
from shared.store.reports import read_details

__all__ = ("Health", "read_health")

_MAX_MEASURED = 5_000
"""Newest exchanges from which the health of upstreams is measured."""

_MAX_EXPLAINED = 500
"""Newest exchanges with misses, whose details are decoded one by one."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream has done recently."""

    upstream: str
    """Empty: exchanges that were refused before there was one."""

    requests: int
    failures: int
    """Not counting exchanges that the client left."""

    first_byte_p50_ms: int | None
    first_byte_p95_ms: int | None
    restored: int
    missing: int
    reasons: dict[str, int]
    """Why turns did not get their reasoning, and how many; of the newest exchanges only."""


def read_health(engine: Engine, since_ms: int) -> list[Health]:
    """Summarise each upstream from at most the newest 5000 exchanges since then."""
    rows = engine.read(
        """
        SELECT upstream, error_class, first_byte_ms, restored, missing, at FROM ledger
        WHERE at >= :since ORDER BY at DESC LIMIT :most
        """,
        {"since": since_ms, "most": _MAX_MEASURED},
    )
    reasons = _reasons(engine, rows[-1][-1]) if rows else {}
    upstreams = sorted({row[0] for row in rows})
    return [
        _health(name, [row for row in rows if row[0] == name], reasons.get(name, Counter()))
        for name in upstreams
    ]


def _health(upstream: str, rows: list[Row], reasons: Counter[str]) -> Health:
    waits = sorted(row[2] for row in rows if row[2] is not None)
    return Health(
        upstream=upstream,
        requests=len(rows),
        failures=sum(row[1] not in ("", "client_left") for row in rows),
        first_byte_p50_ms=_percentile(waits, 50),
        first_byte_p95_ms=_percentile(waits, 95),
        restored=sum(row[3] for row in rows),
        missing=sum(row[4] for row in rows),
        reasons=dict(reasons.most_common()),
    )


def _percentile(ordered: list[int], percent: int) -> int | None:
    """The nearest-rank percentile."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


def _reasons(engine: Engine, since_ms: int) -> dict[str, Counter[str]]:
    """Count by upstream why turns did not get their reasoning."""
    sql = f"""
        SELECT {ENTRY_COLUMNS} FROM ledger WHERE at >= :since AND missing > 0
            ORDER BY at DESC LIMIT :most
    """  # noqa: S608 - a constant
    counts: dict[str, Counter[str]] = {}
    for row in engine.read(sql, {"since": since_ms, "most": _MAX_EXPLAINED}):
        entry = entry_from(row)
        missed = (note.why for note in read_details(entry).turns if note.rule == "missing")
        counts.setdefault(entry.upstream, Counter()).update(missed)
    return counts
