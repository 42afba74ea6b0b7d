"""Inserts of one row each that follow each other, made inserts of many rows.

Python gives its lock away for each statement and has to get it back from the event loop, which
takes a third of a millisecond while that is busy; nobody else can write meanwhile.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import batched, groupby
from typing import Any, NamedTuple

from shared.store.engine import Statement, Work

__all__ = ("Part", "Rows", "join_rows")

MOST_ROWS = 32
"""Of one insert: each number of rows is a statement that is prepared once."""

type Part = Statement | Work[object]
type Rows = tuple[str, list[Any]]
"""A statement with question marks, and their values."""


class _Insert(NamedTuple):
    """An insert of one row whose values are all parameters."""

    head: str
    names: list[str]
    tail: str
    """What is done with a row that is there already."""

    def of(self, rows: Sequence[Statement]) -> Rows:
        """The insert of all of these rows."""
        marks = f"({', '.join('?' * len(self.names))})"
        values = [params[name] for _, params in rows for name in self.names]
        return f"{self.head}{', '.join([marks] * len(rows))}{self.tail}", values


def join_rows(parts: Iterable[Part]) -> Iterator[Part | Rows]:
    """The same, with the rows of inserts that follow each other in one."""
    for sql, same in groupby(parts, key=_sql):
        insert = _insert(sql)
        if insert is None:
            yield from same
        else:
            yield from _lots(insert, [part for part in same if not callable(part)])


def _lots(insert: _Insert, rows: list[Statement]) -> Iterator[Statement | Rows]:
    for lot in batched(rows, MOST_ROWS):
        yield insert.of(lot) if len(lot) > 1 else lot[0]


def _sql(part: Part) -> str:
    return "" if callable(part) else part[0]


@lru_cache(maxsize=512)
def _insert(sql: str) -> _Insert | None:
    """The statement as an insert of one row; None: it is something else."""
    found = _ONE_ROW.fullmatch(sql)
    if found is None:
        return None
    return _Insert(found[1], _NAME.findall(found[2]), found[3])


_NAME = re.compile(r":([A-Za-z_]\w*)", re.ASCII)
_ONE_ROW = re.compile(
    r"(\s*INSERT INTO [^:']*\bVALUES\s*)(\(\s*:\w+(?:\s*,\s*:\w+)*\s*\))([^:']*)", re.ASCII
)
