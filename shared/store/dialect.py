"""What the engines write differently in SQL; all else is written once."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

__all__ = ("Dialect", "Lot", "PostgresDialect", "SqliteDialect", "with_placeholders")

type Lot = tuple[str, Sequence[Any], Sequence[Any]]
"""A condition with question marks, what stands for them in their order, and the values that it
is about.
"""

_LOT = 400
"""Values in one statement: SQLite prepares one for each number of question marks."""


class Dialect(Protocol):
    """How one engine writes it."""

    @property
    def name(self) -> str:
        """The engine's name, in lower case."""

    @property
    def text_index(self) -> str:
        """The table that finds the texts of `audit` by `MATCH`; empty: `contains` has an index."""

    def among(self, column: str, values: Sequence[Any]) -> Iterator[Lot]:
        """Conditions that the column has one of the values, in lots."""

    def contains(self, column: str) -> str:
        """The condition that a text matches the LIKE pattern `:pattern`, ignoring case."""


class SqliteDialect:
    """SQLite's (https://www.sqlite.org/lang.html)."""

    name = "sqlite"
    text_index = "audit_search"

    def among(self, column: str, values: Sequence[Any]) -> Iterator[Lot]:
        for lot in _lots(values):
            yield f"{column} IN ({','.join('?' * len(lot))})", lot, lot

    def contains(self, column: str) -> str:
        return rf"{column} LIKE :pattern ESCAPE '\'"


class PostgresDialect:
    """PostgreSQL's (https://www.postgresql.org/docs/current/sql.html)."""

    name = "postgresql"
    text_index = ""

    def among(self, column: str, values: Sequence[Any]) -> Iterator[Lot]:
        # One statement for all lots, which is planned once.
        for lot in _lots(values):
            yield f"{column} = ANY(?)", [list(lot)], lot

    def contains(self, column: str) -> str:
        # It ignores the case of all letters, LIKE of SQLite that of ASCII's only.
        return rf"{column} ILIKE :pattern ESCAPE '\'"


def _lots(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _LOT):
        yield values[start : start + _LOT]


_PLACE = re.compile(r"""'[^']*'|"[^"]*"|(?<!:):([A-Za-z_]\w*)|\?|%""", re.ASCII)
"""What stands in quotes is text, or the name of a column."""


@lru_cache(maxsize=1024)
def with_placeholders(sql: str) -> str:
    """Return the statement with the placeholders of Python's drivers: `:name` becomes
    `%(name)s`, a question mark `%s` (https://peps.python.org/pep-0249/#paramstyle).
    """
    return _PLACE.sub(_placeholder, sql)


def _placeholder(found: re.Match[str]) -> str:
    text, name = found[0], found[1]
    if name is not None:
        return f"%({name})s"
    if text == "?":
        return "%s"
    return text.replace("%", "%%")
