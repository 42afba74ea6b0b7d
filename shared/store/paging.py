"""Long tables read newest first, page by page, in bounded time however many rows there are.

Some conditions find rows by an index, the others sift what was found. A page looks through
`WINDOW` found rows and no more: when few of them pass the sieve it is short, and says where
the next page begins.
"""

from collections.abc import Sequence

import msgspec

from shared.store.engine import Engine, Params, Row

__all__ = ("END", "WINDOW", "Source", "read_newest")

END = 2**53
"""Beyond the newest row."""

WINDOW = 1_000


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
    """Rows numbered between `after` and `before`, and the `before` of the next page; None:
    there is nothing more.

    `finds` and `sifts` are conditions in SQL over `params`, whose names `after`, `before`,
    `limit` and `window` are taken.
    """
    bounds = {"after": after, "before": before, "limit": limit + 1, "window": WINDOW - 1}
    last = _last_to_look_at(engine, source, finds, {**params, **bounds}) if sifts else None
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
    """The number of the last row that one page looks at; None when the rest is fewer than a
    window.
    """
    number, table = source.number, source.found_in
    if finds:
        sql = f"""
            SELECT {number} FROM {table}
            WHERE {number} > :after AND {number} < :before AND {" AND ".join(finds)}
            ORDER BY {number} DESC LIMIT 1 OFFSET :window
        """  # noqa: S608 - as above
        rows = engine.read(sql, params)
        return rows[0][0] if rows else None
    # Stepping over rows that no index finds would mean reading them.
    sql = f"SELECT (SELECT min({number}) FROM {table}), (SELECT max({number}) FROM {table})"  # noqa: S608 - as above
    [(oldest, newest)] = engine.read(sql)
    last: int = min(params["before"] - 1, newest or 0) - params["window"]
    return last if last > max(params["after"] + 1, oldest or 0) else None
