"""The narrow protocol between the programs and a database engine.

SQL is written once, in the subset SQLite and PostgreSQL share: named parameters (`:name`),
integers for time (epoch ms) and for truth (0/1), ON CONFLICT, RETURNING. What the two write
differently, the engine's `dialect` says.

Other programs, on other machines too, may write at the same time. A transaction sees what
others committed before each of its statements, and of those that name the same thing in `alone`
one runs at a time. The names: `exchange:<id>` (its opening and its settlement), `user:7` and
`key:3` (reservations), `management` (accounts, keys, upstreams, settings, prices), `accounts`
(the first account), `migrations`, `tending` (what one node does for all).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from shared.store.dialect import Dialect

__all__ = (
    "NO_PARAMS",
    "Change",
    "Engine",
    "Params",
    "Pending",
    "Row",
    "Statement",
    "Transaction",
    "Work",
    "apply_change",
)

type Params = Mapping[str, Any]
type Row = tuple[Any, ...]
type Statement = tuple[str, Params]

NO_PARAMS: Final[Params] = {}


class Transaction(Protocol):
    """What a function given to `Engine.transact` may do; all of it commits or none."""

    def run(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """Run one statement; the rows of a SELECT or RETURNING, else an empty list."""


type Work[T] = Callable[[Transaction], T]
"""What is done in one transaction, perhaps several times until it is committed."""

type Change = Sequence[Statement | Work[object]]
"""What is committed as one: statements, and work that looks at what it finds."""


def apply_change(transaction: Transaction, change: Change) -> None:
    """Do all of the change as part of a transaction."""
    for each in change:
        if callable(each):
            each(transaction)
        else:
            transaction.run(*each)


class Pending(Protocol):
    """Statements that are about to be committed."""

    @property
    def over(self) -> bool:
        """Whether waiting is of no use any more: they are committed, or the database turned
        out to be unwritable.
        """

    @property
    def committed(self) -> bool:
        """Whether they are committed."""


class Engine(Protocol):
    """A database as the programs see it.

    `transact`, `write_later`, `flush` and `close` may be called from any thread; the others
    belong to the one that opened the engine (the event loop's).
    """

    @property
    def dialect(self) -> Dialect:
        """How it writes what engines write differently."""

    @property
    def remote(self) -> bool:
        """Whether other machines write too, and a read leaves this process."""

    @property
    def lost(self) -> bool:
        """Whether it could not be reached when that was last looked at, a moment ago."""

    def read(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        """Rows of a query, on the caller's thread: a point look-up costs microseconds and
        never waits for a writer.

        Many values may stand for question marks, in their order: to find hundreds by their
        names takes longer than what is looked up.
        """

    async def fetch(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        """Rows of a query, waited for; where they are at hand it returns without suspending."""

    def try_write(
        self, change: Change, *, overtake: bool = False, alone: Sequence[str] = ()
    ) -> bool:
        """Commit the change now as one transaction, or return False at once when it can't be
        done now.

        `overtake`: also while queued writes wait, for statements that may come before any
        of those.
        """

    def write_first(
        self,
        change: Change,
        *,
        on_thread: bool = False,
        alone: Sequence[str] = (),
        rank: int = 0,
    ) -> Pending | None:
        """Commit the change now or, while another write is under way, as soon as it is over,
        before all that `write_later` has queued. None when it is committed.

        When the database can't be written at all it waits with all else until it can.
        `on_thread`: leave what takes milliseconds to the writer thread in any case. Of changes
        that are committed together those of lower rank come first: who changes rows of one
        user among many gives the user's number, so that no two programs wait for each other.
        """

    def write_later(self, change: Change, *, alone: Sequence[str] = (), rank: int = 0) -> None:
        """Queue the change for the writer thread, which commits in order and in batches; `rank`
        as for `write_first`.
        """

    async def commit(self, change: Change, *, alone: Sequence[str] = (), rank: int = 0) -> None:
        """Commit the change as `write_first` does; when this returns, every program sees it.

        Raises StoreError when it could not be written: then it is written when that is possible,
        unless the database refuses it for good.
        """

    def transact[T](self, work: Work[T], *, alone: Sequence[str], wait: bool = True) -> T:
        """Run `work` in one transaction, waiting for other writers; blocks, so keep it off an
        event loop. `alone` names all that no other transaction may do meanwhile.

        With `wait=False` it never waits, may run on the loop, and raises Busy instead.
        Raises StoreError when the database stays locked; whatever `work` raises rolls back
        and is raised.
        """

    async def transacted[T](self, work: Work[T], *, alone: Sequence[str], patience_ms: int) -> T:
        """`transact` for an event loop, which goes on meanwhile. Raises Busy when others have
        been writing for so long.
        """

    def now_ms(self) -> int:
        """The time that all programs of this database agree on, epoch milliseconds: for what
        one writes and another compares.
        """

    def version(self) -> int:
        """A number that changes when another connection committed."""

    def versions(self) -> Mapping[str, int]:
        """How often each topic was changed: see `shared/store/versions.py`."""

    def sync_soon(self) -> None:
        """Have the writer thread see to it that all that is committed survives a power cut.

        A commit by itself survives the end of the process, not the machine's.
        """

    def flush(self) -> None:
        """Return when everything queued before has been committed."""

    def close(self) -> None:
        """Commit what is queued and close; idempotent."""
