"""What the engines write differently in SQL."""

from typing import Protocol

__all__ = ("Dialect", "SqliteDialect")


class Dialect(Protocol):
    """How one engine writes it."""

    @property
    def name(self) -> str:
        """The engine's name, in lower case."""


class SqliteDialect:
    """SQLite's (https://www.sqlite.org/lang.html)."""

    name = "sqlite"
