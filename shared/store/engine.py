"""The narrow protocol between the programs and a database engine.

SQL is written once, in the subset SQLite and PostgreSQL share: named parameters (`:name`),
integers for time (epoch ms) and for truth (0/1), ON CONFLICT, RETURNING.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

__all__ = ("NO_PARAMS", "Engine", "Params", "Row", "Statement", "Transaction")

type Params = Mapping[str, Any]
type Row = tuple[Any, ...]
type Statement = tuple[str, Params]

NO_PARAMS: Final[Params] = {}


class Transaction(Protocol):
    """What a function given to `Engine.transact` may do; all of it commits or none."""

    def run(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """Run one statement; the rows of a SELECT or RETURNING, else an empty list."""


class Engine(Protocol):
    """A database as the programs see it.

    `read` and `try_write` belong to the thread that opened the engine (the event loop's);
    the others may be called from any thread.
    """

    def read(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """Rows of a query, on the caller's thread: a point look-up costs microseconds and
        never waits for a writer.
        """

    def try_write(
        self, statements: Sequence[Statement], *, overtake: bool = False, patience_ms: int = 0
    ) -> bool:
        """Commit the statements now as one transaction, or return False when it can't be done
        now.

        `overtake`: also while queued writes wait, for statements that may come before any
        of those. `patience_ms`: how long it may wait for another writer, in all twice.
        """

    def write_later(self, statements: Sequence[Statement]) -> None:
        """Queue the statements for the writer thread, which commits in order and in batches."""

    def transact[T](self, work: Callable[[Transaction], T], *, wait: bool = True) -> T:
        """Run `work` in one immediate transaction, waiting for other writers; blocks, so
        keep it off an event loop.

        With `wait=False` it never waits, may run on the loop, and raises Busy instead.
        Raises StoreError when the database stays locked; whatever `work` raises rolls back
        and is raised.
        """

    def version(self) -> int:
        """A number that changes when another connection committed."""

    def flush(self) -> None:
        """Return when everything queued before has been committed."""

    def close(self) -> None:
        """Commit what is queued and close; idempotent."""
