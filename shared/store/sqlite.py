"""SQLite behind the engine protocol: one connection that reads, one that writes, one thread
that writes what may wait.

The reading connection never waits for a writer (write-ahead log). The writing connection is
shared under a lock by the event loop, `transact` and the writer thread, so inside one program
nobody polls for SQLite's lock; between programs `BEGIN IMMEDIATE` decides (a deferred
transaction that turns into a writer fails at once instead of waiting:
https://www.sqlite.org/lang_transaction.html). The writer thread does not wait inside SQLite
but tries again and again: SQLite holds the connection meanwhile, and its pauses, which grow
to a tenth of a second, miss most moments between a busy program's batches.

Checkpoints flush the disk, so they are left to the writer thread and never happen on the
event loop. So does a commit with `synchronous=FULL`: it takes 6 ms where one with `NORMAL`
takes 0.15. A commit survives a kill without it, and `sync_soon` flushes the log once for
many, beside other commits.

The queue is bounded: beyond `QUEUE_BYTES` of parameters new writes are dropped, and the log
says so.
"""

import asyncio
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from pysqlite3 import dbapi2

from shared.clock import Clock, SystemClock
from shared.errors import Busy, StoreError
from shared.store.dialect import SqliteDialect
from shared.store.engine import NO_PARAMS, Change, Params, Row, Work
from shared.store.rows import Part, Rows, join_rows
from shared.store.versions import READ_VERSIONS
from shared.store.write_ahead_log import WriteAheadLog
from shared.store.write_queue import Write, WriteQueue
from shared.store.writer import Failure, Writer

__all__ = ("SqliteEngine", "connect", "database_path", "prepare_file", "remedy")

log = logging.getLogger("thinkback.store")

PATIENCE_MS = 5_000
_TRY_SECONDS = 0.001
"""How often an event loop tries again or looks: a try that fails costs some 10 microseconds."""

_BUSY = frozenset({dbapi2.SQLITE_BUSY, dbapi2.SQLITE_LOCKED})
_PASSING = _BUSY | {
    dbapi2.SQLITE_CANTOPEN,
    dbapi2.SQLITE_FULL,
    dbapi2.SQLITE_IOERR,
    dbapi2.SQLITE_PROTOCOL,
    dbapi2.SQLITE_READONLY,
}
"""Failures of the surroundings, not of the statement: the same write may work later."""

_DAMAGED = frozenset({dbapi2.SQLITE_CORRUPT, dbapi2.SQLITE_NOTADB})
"""Failures of the file: no fault of the caller's either, but the same write will not work later."""

_FAILING = _PASSING | _DAMAGED

_REMEDIES = {
    **dict.fromkeys(_DAMAGED, "“thinkback restore” puts a backup in its place."),
    dbapi2.SQLITE_READONLY: "Thinkback must be able to write the file and its folder.",
}


def database_path(database_url: str) -> Path:
    """The absolute path in `sqlite:relative`, `sqlite:///absolute` or either with
    `?mode=rwc`; StoreError otherwise.
    """
    scheme, _, rest = database_url.partition(":")
    name, _, query = rest.partition("?")
    if scheme != "sqlite":
        raise StoreError(
            "The database URL must look like sqlite:data/adapter.db; no other "
            "database is supported yet."
        )
    if ":memory:" in name or ("mode", "memory") in parse_qsl(query):
        raise StoreError(
            "The database must be a file, as two programs share it: "
            "sqlite:data/adapter.db, for example."
        )
    if any(option != ("mode", "rwc") for option in parse_qsl(query, keep_blank_values=True)):
        raise StoreError(
            f"The database URL has the options “{query}”; only mode=rwc is "
            "understood: remove the others."
        )
    if not name.strip("/"):
        raise StoreError(
            "The database URL names no file; write sqlite:data/adapter.db, for example."
        )
    name = unquote(name.removeprefix("//"))
    return Path("/" + name.lstrip("/") if name.startswith("/") else name).absolute()


def prepare_file(path: Path) -> None:
    """Make the database file (0600) and its directory (0700) when missing, and take others'
    access to the file away.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        # By path only: closing a second descriptor of an open database would drop SQLite's
        # POSIX locks on it.
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & stat.S_IRWXO:
            path.chmod(mode & ~stat.S_IRWXO)


def connect(path: Path, *, patience_ms: int = PATIENCE_MS) -> dbapi2.Connection:
    """A connection in autocommit mode with the settings all of ours have; one thread at a
    time may use it.
    """
    connection = dbapi2.connect(
        str(path), timeout=patience_ms / 1000, isolation_level=None, check_same_thread=False
    )
    if _switch_to_wal(connection, patience_ms) != "wal":
        raise StoreError(
            f"The database {path} can't keep a write-ahead log there: put it on a local disk."
        )
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _switch_to_wal(connection: dbapi2.Connection, patience_ms: int) -> str:
    """The journal mode reached. Programs that start at once on a fresh file clash there,
    busy timeout or not.
    """
    deadline = time.monotonic() + patience_ms / 1000
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except dbapi2.OperationalError as error:
            if _code(error) not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return str(mode)


class _Work:
    """The transaction a function given to `transact` sees."""

    def __init__(self, connection: dbapi2.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        rows: list[Row] = _run(self._connection, sql, params).fetchall()
        return rows


class SqliteEngine:
    """The engine over one migrated database file; `patience_ms` bounds the wait for other
    programs' writes.

    SQLite lets one transaction write at a time: each is alone without naming anything.
    """

    dialect = SqliteDialect()
    remote = False
    lost = False
    """A file is there; one that can't be read fails whoever reads it."""

    def __init__(
        self, path: Path, *, patience_ms: int = PATIENCE_MS, clock: Clock | None = None
    ) -> None:
        self.now_ms = (clock or SystemClock()).now_ms
        self._owner = threading.get_ident()
        self._patience_ms = patience_ms
        self._reader = connect(path, patience_ms=patience_ms)
        self._writer = connect(path, patience_ms=patience_ms)
        self._writer.execute("PRAGMA wal_autocheckpoint=0")
        self._busy_timeout_ms = patience_ms
        self._writing = threading.Lock()
        self._log = WriteAheadLog(path, connect(path, patience_ms=0), self._writing)
        self._topics: tuple[int, Mapping[str, int]] = (-1, {})
        """How often each was changed, and the database's version at which that was read."""

        self._queue = WriteQueue()
        self._thread = Writer(
            self._queue,
            commit=self._commit,
            after_batch=self._log.tend,
            judge=_judge,
            patience_ms=patience_ms,
        )

    def read(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        self._check_owner()
        try:
            rows: list[Row] = _run(self._reader, sql, params).fetchall()
        except dbapi2.DatabaseError as error:
            _tell(error, "read")
            raise
        return rows

    async def fetch(self, sql: str, params: Params | Sequence[Any] = NO_PARAMS) -> list[Row]:
        return self.read(sql, params)

    def version(self) -> int:
        self._check_owner()
        try:
            (version,) = self._reader.execute("PRAGMA data_version").fetchone()
        except dbapi2.DatabaseError as error:
            _tell(error, "read")
            raise
        return int(version)

    def versions(self) -> Mapping[str, int]:
        version = self.version()
        if version != self._topics[0]:
            self._topics = version, dict(self.read(READ_VERSIONS))
        return self._topics[1]

    def try_write(
        self, change: Change, *, overtake: bool = False, alone: Sequence[str] = ()
    ) -> bool:
        """As in the protocol; unless told otherwise False also while queued writes wait, so
        that order is kept.
        """
        return (overtake or self._queue.idle) and self._try(change) is None

    def write_first(
        self,
        change: Change,
        *,
        on_thread: bool = False,
        alone: Sequence[str] = (),
        rank: int = 0,
    ) -> Write | None:
        """As in the protocol; what is dropped or can't be written is over at once."""
        failure: Failure | None = Failure.LOCKED
        # What waits already may be an earlier state of the same row.
        if not (on_thread or self._queue.hurries):
            failure = self._try(change)
        if failure is None:
            return None
        write = Write(change, first=failure is Failure.LOCKED, rank=rank)
        write.over = not (self._thread.put(write) and write.first)
        return write

    def write_later(self, change: Change, *, alone: Sequence[str] = (), rank: int = 0) -> None:
        """As in the protocol; when the queue is full the change is dropped and the log says so."""
        self._thread.put(Write(change, rank=rank))

    async def commit(self, change: Change, *, alone: Sequence[str] = (), rank: int = 0) -> None:
        write = self.write_first(change, rank=rank)
        if write is None:
            return
        while not write.over:  # noqa: ASYNC110 - a thread ends it
            await asyncio.sleep(_TRY_SECONDS)
        if not write.committed:
            raise StoreError("The database can't be written now: try again.")

    def transact[T](self, work: Work[T], *, alone: Sequence[str], wait: bool = True) -> T:
        """As in the protocol; `work` must not flush, as the writer thread waits for its end."""
        patience_ms = self._patience_ms if wait else 0
        if not self._writing.acquire(timeout=patience_ms / 1000):
            raise Busy("The database is busy with another write: try again.")
        try:
            result = self._commit_one(lambda writer: work(_Work(writer)), patience_ms=patience_ms)
        except dbapi2.DatabaseError as error:
            _tell(error, "written")
            raise
        finally:
            self._writing.release()
        self._count(1)
        return result

    async def transacted[T](self, work: Work[T], *, alone: Sequence[str], patience_ms: int) -> T:
        """As in the protocol. It tries on the loop, as a thread that waits would hold the writing
        connection meanwhile.
        """
        until = time.monotonic() + patience_ms / 1000
        while True:
            try:
                return self.transact(work, alone=alone, wait=False)
            except Busy:
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(_TRY_SECONDS)

    def sync_soon(self) -> None:
        if self._log.unsynced and not (self._log.awaited or self._queue.closed):
            self._log.awaited = True
            self._queue.put(Write(()))  # which wakes the writer thread

    def flush(self) -> None:
        self._queue.wait_finished()

    def close(self) -> None:
        self._queue.close()
        self._thread.join()
        with self._writing:
            self._writer.close()
            self._log.close()
        self._reader.close()

    def _check_owner(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError(
                "an engine is read on the thread that opened it; use transact on others"
            )

    def _try(self, change: Change) -> Failure | None:
        """Commit the change, or say why that can't be done now."""
        if not self._writing.acquire(blocking=False):
            return Failure.LOCKED
        try:
            executed = self._commit_one(lambda writer: _apply(writer, change))
        except dbapi2.DatabaseError as error:
            if _code(error) in _FAILING:
                return _judge(error)[0]
            raise
        finally:
            self._writing.release()
        self._count(executed)
        return None

    def _commit_one[T](self, work: Callable[[dbapi2.Connection], T], *, patience_ms: int = 0) -> T:
        """One immediate transaction on the writing connection, whose lock the caller holds."""
        writer = self._writer
        if patience_ms != self._busy_timeout_ms:
            writer.execute(f"PRAGMA busy_timeout={patience_ms}")
            self._busy_timeout_ms = patience_ms
        try:
            writer.execute("BEGIN IMMEDIATE")
            result = work(writer)
            writer.execute("COMMIT")
        except BaseException:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        return result

    def _count(self, statements: int) -> None:
        """Wake the writer thread for a checkpoint when the log has grown; an empty write is
        enough.
        """
        if self._log.grows(statements) and self._queue.idle:
            self._queue.put(Write(()))

    def _commit(self, writes: Sequence[Write]) -> None:
        parts = [part for write in writes for part in write.change]
        joined = list(join_rows(parts))
        with self._writing:
            if len(joined) == 1 and not (callable(joined[0]) or self._busy_timeout_ms):
                # By itself it is a transaction, for which Python's lock changes hands once.
                _run(self._writer, *joined[0])
            else:
                self._commit_one(lambda writer: _apply(writer, joined))
        self._log.grows(len(parts))


def _tell(error: dbapi2.DatabaseError, what: str) -> None:
    """Raise StoreError, in words, if the error says that the database can't be read or written."""
    if _code(error) in _BUSY:
        raise Busy(f"The database is busy ({error}): try again.") from error
    if _code(error) in _FAILING:
        words = f"The database can't be {what} now ({error})"
        advice = remedy(error)
        raise StoreError(f"{words}. {advice}" if advice else f"{words}: try again.") from error


def _run(connection: dbapi2.Connection, sql: str, params: Params | Sequence[Any]) -> dbapi2.Cursor:
    if isinstance(params, list | tuple):  # for question marks
        return connection.execute(sql, params)
    numbered, values = _numbered(sql)
    return connection.execute(numbered, values(params))


@lru_cache(maxsize=512)
def _numbered(sql: str) -> tuple[str, Callable[[Any], Sequence[Any]]]:
    """The statement with numbered parameters, and what takes their values from `Params`: SQLite is
    asked for the name of each that is bound by name, which takes half as long as a small statement.
    """
    names: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        return f"?{names.setdefault(name, len(names) + 1)}"

    numbered = _PARAMETER.sub(place, sql)
    if len(names) > 1:
        return numbered, itemgetter(*names)
    return numbered, lambda params: [params[name] for name in names]


_PARAMETER = re.compile(r"""'[^']*'|"[^"]*"|:([A-Za-z_]\w*)""", re.ASCII)
"""What stands in quotes is text, or the name of a column."""


def _apply(connection: dbapi2.Connection, change: Sequence[Part | Rows]) -> int:
    """Do what the change says; of how many parts it was."""
    for each in change:
        if callable(each):
            each(_Work(connection))
        else:
            _run(connection, *each)
    return len(change)


def _code(error: Exception) -> int:
    """SQLite's primary result code, 0 for errors that are not SQLite's
    (https://www.sqlite.org/rescode.html).
    """
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def remedy(error: Exception) -> str:
    """What an operator can do about a failure; empty: nothing that is known."""
    return _REMEDIES.get(_code(error), "")


def _judge(error: Exception) -> tuple[Failure, str]:
    """Why a commit failed, and how the log puts it."""
    failure = Failure.REFUSED
    if _code(error) in _BUSY:
        failure = Failure.LOCKED
    elif _code(error) in _PASSING:
        failure = Failure.UNWRITABLE
    return failure, _reason(error)


def _reason(error: Exception) -> str:
    """For the log: SQLite's messages name tables and columns, never values; other errors
    may quote what they met.
    """
    return str(error) if isinstance(error, dbapi2.Error) else type(error).__name__
