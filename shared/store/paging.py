"""Reads long tables newest first, page by page, each in bounded time.

Some conditions find rows by an index, the others sift those rows. A page sifts at most
`WINDOW` rows: if few of them match, it is short, and says where the next page begins.
"""

from collections.abc import Sequence

import msgspec

from shared.store.engine import Engine, Params, Row

__all__ = ("END", "WINDOW", "Source", "read_newest")

END = 2**53
"""Beyond the newest row."""

WINDOW = 1_000
"""Rows sifted for one page: some milliseconds, on the event loop."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows are found; all of it is SQL."""

    found_in: str
    """The table whose index answers the conditions that find."""

    number: str
    """Its column that the rows are ordered by, newest highest, nearly without gaps."""

    read_from: str
    """The same table, joined with what else is read."""

    columns: str
    """What is read; the last is the number."""


def read_newest(
    engine: Engine,
    source: Source,
    *,
    finds: Sequence[str],
    sifts: Sequence[str],
    params: Params,
    after: int = 0,
    before: int = END,
    limit: int,
) -> tuple[list[Row], int | None]:
    """Return rows between `after` and `before`, and the `before` of the next page or None.

    `finds` and `sifts` are SQL conditions over `params`, in which the names `after`,
    `before`, `limit` and `window` are reserved.
    """
    bounds = {"after": after, "before": before, "limit": limit + 1, "window": WINDOW - 1}
    last = None
    if sifts:
        last = _last_to_look_at(engine, source, finds, {**params, **bounds})
    if last is not None:
        bounds["after"] = last - 1
    sql = f"""
        SELECT {source.columns} FROM {source.read_from}
        WHERE {source.number} > :after AND {source.number} < :before
            AND {" AND ".join([*finds, *sifts]) or "1 = 1"}
        ORDER BY {source.number} DESC LIMIT :limit
    """  # noqa: S608 - all of it is constants of the callers
    rows = engine.read(sql, {**params, **bounds})
    if len(rows) > limit:
        return rows[:limit], rows[limit - 1][-1]
    return rows, last


def _last_to_look_at(
    engine: Engine, source: Source, finds: Sequence[str], params: Params
) -> int | None:
    """Return the number of the last row that a page sifts; None if less than a window is left."""
    number, table = source.number, source.found_in
    if finds:
        sql = f"""
            SELECT {number} FROM {table}
            WHERE {number} > :after AND {number} < :before AND {" AND ".join(finds)}
            ORDER BY {number} DESC LIMIT 1 OFFSET :window
        """  # noqa: S608 - as above
        for (number_found,) in engine.read(sql, params):
            return int(number_found)
        return None
    # Stepping over rows that no index finds would mean reading them.
    sql = f"SELECT (SELECT min({number}) FROM {table}), (SELECT max({number}) FROM {table})"  # noqa: S608 - as above
    [(oldest, newest)] = engine.read(sql)
    last: int = min(params["before"] - 1, newest or 0) - params["window"]
    if last <= max(params["after"] + 1, oldest or 0):
        return None
    return last
