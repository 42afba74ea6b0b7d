"""The narrow protocol between the programs and a database engine.

SQL is written once, in the subset SQLite and PostgreSQL share: named parameters (`:name`),
integers for time (epoch ms) and for truth (0/1), ON CONFLICT, RETURNING.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

__all__ = ("NO_PARAMS", "Engine", "Params", "Pending", "Row", "Statement", "Transaction")

type Params = Mapping[str, Any]
type Row = tuple[Any, ...]
type Statement = tuple[str, Params]

NO_PARAMS: Final[Params] = {}


class Transaction(Protocol):
    """What a function given to `Engine.transact` may do; all of it commits or none."""

    def run(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """Run one statement; the rows of a SELECT or RETURNING, else an empty list."""


class Pending(Protocol):
    """Statements that are about to be committed."""

    @property
    def over(self) -> bool:
        """Whether waiting is of no use any more: they are committed, or the database turned
        out to be unwritable.
        """


class Engine(Protocol):
    """A database as the programs see it.

    `read`, `try_write` and `write_first` belong to the thread that opened the engine (the
    event loop's); the others may be called from any thread.
    """

    def read(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        """Rows of a query, on the caller's thread: a point look-up costs microseconds and
        never waits for a writer.

        Many values may stand for question marks, in their order: to find hundreds by their
        names takes longer than what is looked up.
        """

    def try_write(self, statements: Sequence[Statement], *, overtake: bool = False) -> bool:
        """Commit the statements now as one transaction, or return False at once when it
        can't be done now.

        `overtake`: also while queued writes wait, for statements that may come before any
        of those.
        """

    def write_first(
        self, statements: Sequence[Statement], *, on_thread: bool = False
    ) -> Pending | None:
        """Commit the statements now or, while another write is under way, as soon as it is
        over, before all that `write_later` has queued. None when they are committed.

        When the database can't be written at all they wait with all else until it can.
        `on_thread`: leave statements that take milliseconds to the writer thread in any case.
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

    def sync_soon(self) -> None:
        """Have the writer thread see to it that all that is committed survives a power cut.

        A commit by itself survives the end of the process, not the machine's.
        """

    def flush(self) -> None:
        """Return when everything queued before has been committed."""

    def close(self) -> None:
        """Commit what is queued and close; idempotent."""
