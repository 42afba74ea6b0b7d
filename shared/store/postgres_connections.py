"""Connections to a PostgreSQL database, kept when they are given back and made anew when they
are lost.

Nothing of ours is state of a session but what is set when it begins, so that a pooler which gives
each transaction another one will do (https://www.pgbouncer.org/features.html): `pgbouncer=true` in
the URL says that there is one, and nothing at all is set then, no statement prepared.
"""

import logging
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode

import psycopg
from psycopg.adapt import Buffer
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper, NumericBinaryLoader
from psycopg.types.string import StrBinaryDumper

from shared.errors import Busy, StoreError

__all__ = ("Connection", "Connections", "is_pooled", "unreachable")

log = logging.getLogger("thinkback.store")

type Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS = 5
STATEMENT_MS = 2_000
"""For what is read, sometimes on an event loop; a transaction sets its own."""

MOST = 12
"""Connections of one process, most of them for a moment only."""

KEPT = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds from one failed connection to the next attempt, doubled each time: who asks meanwhile
is told at once.
"""


class _Text(StrBinaryDumper):
    """PostgreSQL's text holds no NUL; a model's name from a client may."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\N{SYMBOL FOR NULL}"))


class _Whole(NumericBinaryLoader):
    """Sums of integers are numeric there; all of ours are whole numbers."""

    def load(self, data: Buffer) -> Any:
        return int(super().load(data))


def is_pooled(url: str) -> bool:
    """Whether the URL says that a pooler stands before the database."""
    return _given(url).get("pgbouncer") == "true"


def unreachable(error: Exception) -> StoreError:
    """What is told when there is no connection: libpq's words, which hold no password."""
    words = " ".join(str(error).split()).removesuffix(".")
    return StoreError(f"The database can't be reached now ({words}).")


class Connections:
    """Connections to the database of one URL, for any thread."""

    def __init__(self, url: str) -> None:
        self._conninfo, self._options = _conninfo(url), _options(url)
        self._room = threading.BoundedSemaphore(MOST)
        self._changing = threading.Lock()
        self._free: list[Connection] = []
        self._closed = False
        self._pause, self._not_before = 0.0, 0.0

    @contextmanager
    def one(self, *, patience_ms: int) -> Iterator[Connection]:
        """Lend a connection, in autocommit mode. Raises Busy, or StoreError where the database
        can't be reached.
        """
        if not self._room.acquire(timeout=patience_ms / 1000):
            raise Busy("All connections to the database are busy: try again.")
        try:
            connection = self._take() or self._connect()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._room.release()

    def close(self) -> None:
        """Close those that nobody has; the others are closed when they are given back."""
        with self._changing:
            self._closed = True
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def _take(self) -> Connection | None:
        while True:
            with self._changing:
                if not self._free:
                    return None
                connection = self._free.pop()
            if _is_alive(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        is_sound = connection.info.transaction_status == TransactionStatus.IDLE
        with self._changing:
            if is_sound and not self._closed and len(self._free) < KEPT:
                self._free.append(connection)
                return
        connection.close()

    def _connect(self) -> Connection:
        if self._closed:
            raise StoreError("The database is closed.")
        if time.monotonic() < self._not_before:
            raise StoreError("The database can't be reached now: try again.")
        try:
            connection = psycopg.connect(self._conninfo, autocommit=True, **self._options)
            connection.adapters.register_dumper(int, Int8BinaryDumper)
            connection.adapters.register_dumper(str, _Text)
            connection.adapters.register_loader("numeric", _Whole)
        except psycopg.OperationalError as error:
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._not_before = time.monotonic() + self._pause
            raise unreachable(error) from error
        self._pause = 0.0
        return connection


def _is_alive(connection: Connection) -> bool:
    """Whether an idle connection is still one. A server that ends it says so on the wire, and
    hardly anything else unasked.
    """
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _conninfo(url: str) -> str:
    """The URL as libpq takes it."""
    given = {name: value for name, value in _given(url).items() if name != "pgbouncer"}
    return f"{url.partition('?')[0]}?{urlencode(given)}"


def _given(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("?")[2]))


def _options(url: str) -> dict[str, Any]:
    """How connections of ours are begun, unless the URL has its own way."""
    ours: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "thinkback",
        # A machine that is gone without a word is noticed in half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    if is_pooled(url):
        ours["prepare_threshold"] = None
    else:
        ours["options"] = f"-c statement_timeout={STATEMENT_MS}"
    given = _given(url)
    return {name: value for name, value in ours.items() if name not in given}
