"""Writes that wait for a database's writer thread."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence

from shared.store.engine import Change, Statement, Work

__all__ = ("Write", "WriteQueue")

BATCH_STATEMENTS = 32
"""Nobody else can write while a batch is being written."""

LINGER_SECONDS = 0.1
"""How long writes that nobody waits for wait for more of them: each commit and each change of
threads costs the loop time, and rows of one table share pages.
"""

QUEUE_BYTES = 64 * 1024 * 1024
STATEMENT_BYTES = 512
"""What a queued statement weighs beside its parameters."""

WORK_BYTES = 4096
"""What is taken for the weight of work that runs statements of its own: settlements mostly."""


class Write:
    """A change that is committed as one or not at all."""

    def __init__(
        self, change: Change, *, first: bool = False, alone: Sequence[str] = (), rank: int = 0
    ) -> None:
        self.change = tuple(change)
        self.first = first
        """Whether it comes before all that are not."""

        self.alone = alone
        """What no other transaction may do meanwhile."""

        self.rank = rank
        """Those of lower rank come before it in a batch."""

        self.committed = False

        self.over = False
        """Whether waiting for it is of no use any more: it is dealt with, or can't be for now."""

        self.weight = sum(map(_weight, self.change))
        """Bytes that it takes, roughly."""


def _weight(statement: Statement | Work[object]) -> int:
    if callable(statement):
        return WORK_BYTES
    values = statement[1].values()
    return STATEMENT_BYTES + sum([len(one) for one in values if isinstance(one, (str, bytes))])


class WriteQueue:
    """Writes on their way to the writer thread, in two orders: those that come first, and
    the others.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._first: deque[Write] = deque()
        self._others: deque[Write] = deque()
        self._unfinished: set[Write] = set()
        """What is queued or being written."""

        self._hurrying = 0
        """How many of these come first."""

        self._since = 0.0
        """When the oldest of the others was queued, on the monotonic clock; not before."""

        self._bytes = 0
        self._waiting = 0
        """Who waits for what is queued."""

        self._hurry = threading.Event()
        self.closed = False

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being written."""
        return not self._unfinished

    @property
    def hurries(self) -> bool:
        """Whether writes that come first wait or are being written."""
        return self._hurrying > 0

    def put(self, write: Write) -> bool:
        """Queue a write; False when the queue is full or closed."""
        with self._changed:
            if self.closed or self._bytes >= QUEUE_BYTES:
                return False
            self._bytes += write.weight
            self._unfinished.add(write)
            if write.first:
                self._hurrying += 1
                self._first.append(write)
                self._hurry.set()
                self._changed.notify_all()
            else:
                self._others.append(write)
                if len(self._others) == 1:
                    self._since = time.monotonic()
                    self._changed.notify_all()
        return True

    def take(self) -> list[Write]:
        """Wait for the next batch; empty when the queue is closed and used up.

        What comes first is not held up by the others, unless those have waited for long.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._first or self._others or self.closed)
                if not (self._first or self._others):
                    return []
                self._hurry.clear()
                linger = 0 if self._first else self._linger()
            if linger > 0:
                self._hurry.wait(linger)
            if batch := self.take_first() + self._take_others():
                return batch

    def _take_others(self) -> list[Write]:
        """Those of the others whose time has come."""
        batch: list[Write] = []
        statements = 0
        with self._changed:
            while self._others and statements < BATCH_STATEMENTS and self._linger() <= 0:
                batch.append(self._others.popleft())
                statements += len(batch[-1].change)
        return batch

    def _linger(self) -> float:
        """How long the others are still to wait, in seconds."""
        if self.closed or self._waiting:
            return 0
        return self._since + LINGER_SECONDS - time.monotonic()

    def take_first(self) -> list[Write]:
        """What has to be written before all else, if anything."""
        with self._changed:
            first = list(self._first)
            self._first.clear()
        return first

    def finish(self, writes: Iterable[Write]) -> None:
        """The writes taken are dealt with."""
        with self._changed:
            for write in writes:
                write.over = True
                self._bytes -= write.weight
                self._hurrying -= write.first
                self._unfinished.discard(write)
            self._changed.notify_all()

    def wait_finished(self) -> None:
        """Return when all that was queued before the call is dealt with."""
        with self._changed:
            queued = set(self._unfinished)
            self._waiting += 1
            self._hurry.set()
            self._changed.wait_for(lambda: queued.isdisjoint(self._unfinished))
            self._waiting -= 1

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._hurry.set()
            self._changed.notify_all()

    def abandon(self) -> int:
        """Drop what still waits; how many writes that were."""
        with self._changed:
            dropped = [*self._first, *self._others]
            self._first.clear()
            self._others.clear()
        self.finish(dropped)
        return len(dropped)

    def closed_within(self, seconds: float) -> bool:
        """Wait until the queue is closed or has something that comes first; whether it is
        closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._first or self.closed, seconds)
            return self.closed
