"""SQLite behind the engine protocol: one connection that reads, one that writes, one thread
that writes what may wait.

The reading connection never waits for a writer (write-ahead log). The writing connection is
shared under a lock by `try_write`, `transact` and the writer thread, so inside one program
nobody polls for SQLite's lock; between programs `BEGIN IMMEDIATE` and its busy timeout
decide (a deferred transaction that turns into a writer fails at once instead of waiting:
https://www.sqlite.org/lang_transaction.html).

Checkpoints flush the disk, so they are left to the writer thread and never happen inside
`try_write`.

The writer thread lingers for a moment before each batch. When the database is locked for
long, the disk is full or read-only, it keeps its queue, says so once and tries again until
it works. The queue is bounded: beyond `QUEUE_BYTES` of parameters new writes are dropped,
and that is logged too. A group of statements the database refuses for good (a broken
constraint) is logged and dropped alone.
"""

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from pysqlite3 import dbapi2

from shared.errors import Busy, StoreError
from shared.store.engine import NO_PARAMS, Params, Row, Statement, Transaction
from shared.store.write_queue import Group, WriteQueue

__all__ = ("SqliteEngine", "connect", "database_path", "prepare_file")

log = logging.getLogger("thinkback.store")

PATIENCE_MS = 5_000
RETRY_SECONDS = 1.0
CHECKPOINT_STATEMENTS = 1000

_BUSY = frozenset({dbapi2.SQLITE_BUSY, dbapi2.SQLITE_LOCKED})
_PASSING = _BUSY | {
    dbapi2.SQLITE_CANTOPEN,
    dbapi2.SQLITE_FULL,
    dbapi2.SQLITE_IOERR,
    dbapi2.SQLITE_PROTOCOL,
    dbapi2.SQLITE_READONLY,
}
"""Failures of the surroundings, not of the statement: the same write may work later."""

_FAILING = _PASSING | {dbapi2.SQLITE_CORRUPT, dbapi2.SQLITE_NOTADB}
"""With failures of the file: no fault of the caller's either, but the same write will not
work later.
"""


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
        rows: list[Row] = self._connection.execute(sql, params).fetchall()
        return rows


class SqliteEngine:
    """The engine over one migrated database file; `patience_ms` bounds the wait for other
    programs' writes.
    """

    def __init__(self, path: Path, *, patience_ms: int = PATIENCE_MS) -> None:
        self._owner = threading.get_ident()
        self._patience_ms = patience_ms
        self._reader = connect(path, patience_ms=patience_ms)
        self._writer = connect(path, patience_ms=patience_ms)
        self._writer.execute("PRAGMA wal_autocheckpoint=0")
        self._checkpointer = connect(path, patience_ms=0)
        """The writer thread's own: a checkpoint takes milliseconds, and no write waits for it."""
        self._busy_timeout_ms = patience_ms
        self._writing = threading.Lock()
        self._unchecked = 0
        self._queue = WriteQueue()
        self._stuck = False
        self._overflowing = False
        self._thread = threading.Thread(
            target=self._write_queued, name="thinkback-store-writer", daemon=True
        )
        self._thread.start()

    def read(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        self._check_owner()
        rows: list[Row] = self._reader.execute(sql, params).fetchall()
        return rows

    def version(self) -> int:
        self._check_owner()
        (version,) = self._reader.execute("PRAGMA data_version").fetchone()
        return int(version)

    def try_write(
        self, statements: Sequence[Statement], *, overtake: bool = False, patience_ms: int = 0
    ) -> bool:
        """As in the protocol; unless told otherwise False also while queued writes wait, so
        that order is kept.
        """
        if not (overtake or self._queue.idle):
            return False
        # First this program's other thread is waited for, then other programs.
        if not self._writing.acquire(timeout=patience_ms / 1000):
            return False
        try:
            with self._transaction(patience_ms=patience_ms) as connection:
                _execute(connection, statements)
        except dbapi2.DatabaseError as error:
            if _code(error) in _FAILING:
                return False
            raise
        finally:
            self._writing.release()
        self._count(len(statements))
        return True

    def write_later(self, statements: Sequence[Statement]) -> None:
        """As in the protocol; when the queue is full the statements are dropped and the log
        says so.
        """
        if self._queue.put(tuple(statements)):
            self._overflowing = False
        elif self._queue.closed:
            raise StoreError("The database is closed.")
        elif not self._overflowing:
            self._overflowing = True
            log.error(
                "Too many writes wait for the database: new ones are dropped until "
                "it can be written again."
            )

    def transact[T](self, work: Callable[[Transaction], T], *, wait: bool = True) -> T:
        """As in the protocol; `work` must not flush, as the writer thread waits for its end."""
        patience_ms = self._patience_ms if wait else 0
        if not self._writing.acquire(timeout=patience_ms / 1000):
            raise Busy("The database is busy with another write: try again.")
        try:
            with self._transaction(patience_ms=patience_ms) as connection:
                result = work(_Work(connection))
        except dbapi2.DatabaseError as error:
            if _code(error) in _BUSY:
                raise Busy(f"The database is busy ({error}): try again.") from error
            if _code(error) in _FAILING:
                raise StoreError(
                    f"The database can't be written now ({error}): try again."
                ) from error
            raise
        finally:
            self._writing.release()
        self._count(1)
        return result

    def flush(self) -> None:
        self._queue.wait_finished()

    def close(self) -> None:
        self._queue.close()
        self._thread.join()
        with self._writing:
            self._writer.close()
            self._checkpointer.close()
        self._reader.close()

    def _check_owner(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError(
                "an engine is read on the thread that opened it; use transact on others"
            )

    @contextmanager
    def _transaction(self, *, patience_ms: int) -> Iterator[dbapi2.Connection]:
        """One immediate transaction on the writing connection, whose lock the caller holds."""
        if patience_ms != self._busy_timeout_ms:
            self._writer.execute(f"PRAGMA busy_timeout={patience_ms}")
            self._busy_timeout_ms = patience_ms
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._writer
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _count(self, statements: int) -> None:
        """Wake the writer thread for a checkpoint when the log has grown; an empty group is
        enough.
        """
        self._unchecked += statements
        if self._unchecked >= CHECKPOINT_STATEMENTS and self._queue.idle:
            self._queue.put(())

    def _write_queued(self) -> None:
        while groups := self._queue.take():
            self._write_out(groups)
            self._queue.finish(groups)
            if self._unchecked >= CHECKPOINT_STATEMENTS:
                self._checkpoint()

    def _write_out(self, groups: list[Group]) -> None:
        """Commit the groups together, waiting out what passes; what is refused for good is
        tried group by group.
        """
        while error := self._attempt(groups):
            if _code(error) not in _PASSING:
                return self._write_apart(groups, error)
            self._say_stuck(error)
            if self._queue.closed_within(RETRY_SECONDS):
                return self._give_up(groups)
        return self._say_unstuck()

    def _write_apart(self, groups: list[Group], error: Exception) -> None:
        if len(groups) > 1:
            for group in groups:
                self._write_out([group])
        else:
            log.error("A queued write was refused and dropped (%s).", _reason(error))

    def _give_up(self, groups: list[Group]) -> None:
        lost = len(groups) + self._queue.abandon()
        log.error(
            "%d queued writes are lost: the database could not be written before the end.", lost
        )

    def _attempt(self, groups: list[Group]) -> Exception | None:
        """Why the groups could not be committed; None when they were."""
        try:
            self._commit(groups)
        except Exception as error:  # the thread's boundary: a bad write must not end it
            return error
        return None

    def _commit(self, groups: list[Group]) -> None:
        statements = [statement for group in groups for statement in group]
        with self._writing, self._transaction(patience_ms=self._patience_ms) as connection:
            _execute(connection, statements)
        self._unchecked += len(statements)

    def _checkpoint(self) -> None:
        self._unchecked = 0
        try:
            self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except dbapi2.Error as error:
            log.warning(
                "The write-ahead log could not be moved into the database (%s).", _reason(error)
            )

    def _say_stuck(self, error: Exception) -> None:
        if not self._stuck:
            self._stuck = True
            log.error(
                "The database can't be written (%s); writes are kept and tried again.",
                _reason(error),
            )

    def _say_unstuck(self) -> None:
        if self._stuck:
            self._stuck = False
            log.warning("The database can be written again.")


def _execute(connection: dbapi2.Connection, statements: Iterable[Statement]) -> None:
    for sql, params in statements:
        connection.execute(sql, params)


def _code(error: Exception) -> int:
    """SQLite's primary result code, 0 for errors that are not SQLite's
    (https://www.sqlite.org/rescode.html).
    """
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _reason(error: Exception) -> str:
    """For the log: SQLite's messages name tables and columns, never values; other errors
    may quote what they met.
    """
    return str(error) if isinstance(error, dbapi2.Error) else type(error).__name__
