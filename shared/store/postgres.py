"""PostgreSQL behind the engine protocol: connections that are lent for one statement or one
transaction, and one thread that commits what is queued.

Nothing here waits on an event loop but `read` and `transact`, of which their callers say so:
`fetch` and `transacted` wait on threads, and a write from a loop goes to the writer thread, which
commits all that has come meanwhile in one transaction of few messages.

A transaction is READ COMMITTED, and takes an advisory lock for each of its names before its first
statement, in one order everywhere (https://www.postgresql.org/docs/current/explicit-locking.html).
What is written under a name is of the books: it is on the disk when its commit returns. All else
is there in half a second, and seen by everybody at once
(https://www.postgresql.org/docs/current/wal-async-commit.html).
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, groupby
from typing import Any

import psycopg
from psycopg import errors

from shared.clock import Clock, SystemClock
from shared.errors import Busy, StoreError
from shared.store.dialect import PostgresDialect, with_placeholders
from shared.store.engine import NO_PARAMS, Change, Params, Row, Work, apply_change
from shared.store.postgres_connections import Connection, Connections, unreachable
from shared.store.versions import READ_VERSIONS
from shared.store.write_queue import Write, WriteQueue
from shared.store.writer import Failure, Writer

__all__ = ("PATIENCE_MS", "PostgresEngine", "in_transaction")

log = logging.getLogger("thinkback.store")

PATIENCE_MS = 5_000
_STATEMENT_MS = 10_000
"""How long one statement of a transaction may take, beside what it waits for."""

_LOOKING, _WRITING = 4, 4
"""Threads that wait for look-ups of a loop, and for its transactions."""

_POLL_SECONDS = 0.5
"""How soon a program knows that another one has changed what it holds in memory."""

_LOOK_SECONDS = 0.001
"""How often a loop looks whether a commit is over."""

_CLOCK = "SELECT '', (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_BUSY = "The database is busy with another write: try again."
_CLASHES = (errors.DeadlockDetected, errors.SerializationFailure)
_WAITS = (errors.LockNotAvailable, errors.QueryCanceled)
_SURROUNDINGS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    StoreError,
)
"""Failures that are not the statement's: the same may work later."""


class _Work:
    """The transaction a function given to `transact` sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        return _run(self._connection, sql, params)


class _Watch:
    """What all programs agree on: how often each topic was changed, and the time."""

    def __init__(self, read: Callable[[str], list[Row]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._ahead_ms = 0
        """By how much the database's clock is ahead of this machine's."""

        self.lost = False
        """Whether the last look found no database."""

        self._versions: Mapping[str, int] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def now_ms(self) -> int:
        """The database's time, as far as it is known."""
        return self._clock.now_ms() + self._ahead_ms

    def versions(self) -> Mapping[str, int]:
        """The topics' numbers: read now, but on an event loop those of the last look."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="thinkback-store-versions", daemon=True
            )
            self._thread.start()
            self._look()
        elif not _on_loop():
            self._look()
        return self._versions

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            try:
                self._look()
            except StoreError as error:
                if not self.lost:
                    log.error("%s Requests that need it are refused until it is back.", error)
                self.lost = True

    def _look(self) -> None:
        before = self._clock.now_ms()
        rows: dict[str, int] = dict(self._read(f"{READ_VERSIONS} UNION ALL {_CLOCK}"))
        self._ahead_ms = rows.pop("") - (before + self._clock.now_ms()) // 2
        self._versions = rows
        if self.lost:
            self.lost = False
            log.warning("The database can be reached again.")


class PostgresEngine:
    """The engine over one migrated PostgreSQL database, which any thread may read; `patience_ms`
    bounds the wait for other transactions.
    """

    dialect = PostgresDialect()
    remote = True

    def __init__(
        self,
        connections: Connections,
        *,
        patience_ms: int = PATIENCE_MS,
        clock: Clock | None = None,
    ) -> None:
        self._connections = connections
        self._patience_ms = patience_ms
        self._watch = _Watch(self.read, clock or SystemClock())
        self._looking = ThreadPoolExecutor(_LOOKING, "thinkback-store-look-up")
        self._writing = ThreadPoolExecutor(_WRITING, "thinkback-store-transaction")
        self._queue = WriteQueue()
        self._thread = Writer(
            self._queue,
            commit=self._commit,
            after_batch=lambda: None,
            judge=_judge,
            patience_ms=patience_ms,
        )

    def read(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        """As in the protocol, but it waits for the network, two seconds at most."""
        try:
            with self._connections.one(patience_ms=PATIENCE_MS) as connection:
                return _run(connection, sql, params)
        except psycopg.Error as error:
            raise _told(error) from error

    async def fetch(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._looking, self.read, sql, params)

    def try_write(
        self, change: Change, *, overtake: bool = False, alone: Sequence[str] = ()
    ) -> bool:
        """As in the protocol; False on an event loop, which would wait for the network."""
        if _on_loop() or not (overtake or self._queue.idle):
            return False
        try:
            self._commit_together([change], alone=alone)
        except (psycopg.Error, StoreError) as error:
            if _judge(error)[0] is Failure.REFUSED:
                raise
            return False
        return True

    def write_first(
        self,
        change: Change,
        *,
        on_thread: bool = False,
        alone: Sequence[str] = (),
        rank: int = 0,
    ) -> Write | None:
        """As in the protocol; the writer thread does it in any case, as it would take the loop a
        wait for the network.
        """
        write = Write(change, first=True, alone=alone, rank=rank)
        write.over = not self._thread.put(write)
        return write

    def write_later(self, change: Change, *, alone: Sequence[str] = (), rank: int = 0) -> None:
        """As in the protocol; when the queue is full the change is dropped and the log says so."""
        self._thread.put(Write(change, alone=alone, rank=rank))

    async def commit(self, change: Change, *, alone: Sequence[str] = (), rank: int = 0) -> None:
        write = Write(change, first=True, alone=alone, rank=rank)
        write.over = not self._thread.put(write)
        while not write.over:  # noqa: ASYNC110 - a thread ends it
            await asyncio.sleep(_LOOK_SECONDS)
        if not write.committed:
            raise StoreError("The database can't be written now: try again.")

    def transact[T](self, work: Work[T], *, alone: Sequence[str], wait: bool = True) -> T:
        patience_ms = self._patience_ms if wait else 1
        return self._transact(work, alone=alone, patience_ms=patience_ms, lasting=wait)

    async def transacted[T](self, work: Work[T], *, alone: Sequence[str], patience_ms: int) -> T:
        """As in the protocol: what it commits is seen at once, and on the disk in half a second."""
        call = partial(self._transact, work, alone=alone, patience_ms=patience_ms, lasting=False)
        return await asyncio.get_running_loop().run_in_executor(self._writing, call)

    @property
    def lost(self) -> bool:
        return self._watch.lost

    def now_ms(self) -> int:
        return self._watch.now_ms()

    def version(self) -> int:
        """As in the protocol, of what has a topic."""
        return sum(self.versions().values())

    def versions(self) -> Mapping[str, int]:
        """As in the protocol; on an event loop as they were half a second ago at most."""
        return self._watch.versions()

    def sync_soon(self) -> None:
        """Nothing: what must survive a power cut does when its commit returns."""

    def flush(self) -> None:
        self._queue.wait_finished()

    def close(self) -> None:
        self._queue.close()
        self._thread.join()
        self._watch.end()
        for threads in (self._looking, self._writing):
            threads.shutdown()
        self._connections.close()

    def _transact[T](
        self, work: Work[T], *, alone: Sequence[str], patience_ms: int, lasting: bool
    ) -> T:
        def whole(connection: Connection) -> T:
            result = work(_Work(connection))
            if connection.execute("COMMIT").statusmessage != "COMMIT":
                raise StoreError("A statement failed, so nothing of its transaction was written.")
            return result

        try:
            with self._connections.one(patience_ms=patience_ms) as connection:
                return in_transaction(
                    connection, whole, alone=alone, patience_ms=patience_ms, lasting=lasting
                )
        except psycopg.Error as error:
            raise _told(error) from error

    def _commit(self, writes: Sequence[Write]) -> None:
        """Commit a batch, first what clients wait for: it does not wait for the disk."""
        for lasting in (False, True):
            ours = [w for w in writes if bool(w.alone) is lasting and not w.committed]
            if ours:
                names = {name for write in ours for name in write.alone}
                self._commit_together([write.change for write in ours], alone=[*names])
            for write in ours:
                write.committed = write.over = True

    def _commit_together(self, changes: Sequence[Change], *, alone: Sequence[str]) -> None:
        def whole(connection: Connection) -> None:
            for works, each in groupby(chain.from_iterable(changes), callable):
                if works:
                    apply_change(_Work(connection), [*each])
                else:
                    _send(connection, [*each])
            connection.execute("COMMIT")

        patience_ms = self._patience_ms
        with self._connections.one(patience_ms=patience_ms) as connection:
            in_transaction(
                connection, whole, alone=alone, patience_ms=patience_ms, lasting=bool(alone)
            )


def in_transaction[T](
    connection: Connection,
    work: Callable[[Connection], T],
    *,
    alone: Sequence[str],
    patience_ms: int,
    statement_ms: int = _STATEMENT_MS,
    lasting: bool,
) -> T:
    """Run `work`, which commits at its end, in a transaction that is alone with these names.

    `lasting`: have the commit wait for the disk.
    """
    begin = [
        "BEGIN",
        f"SET LOCAL statement_timeout = {patience_ms + statement_ms}",
        f"SET LOCAL lock_timeout = {max(patience_ms, 1)}",
    ]
    if not lasting:
        begin.append("SET LOCAL synchronous_commit = off")
    try:
        # One message: each of its statements sees what was committed before it.
        connection.execute("; ".join(begin + [_lock(name) for name in sorted(set(alone))]))
        return work(connection)
    finally:
        if not connection.closed and connection.info.transaction_status:
            connection.execute("ROLLBACK")


def _lock(name: str) -> str:
    quoted = name.replace("'", "''")
    return f"SELECT pg_advisory_xact_lock(hashtextextended('{quoted}', 0))"


def _send(connection: Connection, statements: Change) -> None:
    """Run statements of which nothing is to be known: all go out before an answer comes."""
    with connection.pipeline():
        apply_change(_Work(connection), statements)


def _run(connection: Connection, sql: str, params: Params | Sequence[Any]) -> list[Row]:
    cursor = connection.execute(with_placeholders(sql), params, binary=True)
    return cursor.fetchall() if cursor.description else []


def _on_loop() -> bool:
    """Whether an event loop runs on this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _told(error: psycopg.Error) -> Exception:
    """The failure in words, unless it is the statement's own."""
    if isinstance(error, (*_CLASHES, *_WAITS)):
        return Busy(_BUSY)
    if isinstance(error, _SURROUNDINGS):
        return unreachable(error)
    return error


def _judge(error: Exception) -> tuple[Failure, str]:
    """Why a commit failed, and how the log puts it."""
    failure = Failure.REFUSED
    if isinstance(error, _CLASHES):
        failure = Failure.CLASHED
    elif isinstance(error, (*_WAITS, Busy)):
        failure = Failure.LOCKED
    elif isinstance(error, _SURROUNDINGS):
        failure = Failure.UNWRITABLE
    return failure, _reason(error)


def _reason(error: Exception) -> str:
    """For the log: the server's messages may quote values, the names of its errors do not."""
    if isinstance(error, StoreError):
        return str(error)
    return type(error).__name__
