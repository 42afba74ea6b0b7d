"""Writes that wait for a database's writer thread."""

import threading
from collections import deque
from collections.abc import Iterable

from shared.store.engine import Statement

__all__ = ("Group", "WriteQueue")

BATCH_STATEMENTS = 200
LINGER_SECONDS = 0.02
"""How long the writer thread waits for more to write: each commit and each change of
threads costs the loop time.
"""

QUEUE_BYTES = 64 * 1024 * 1024
STATEMENT_BYTES = 512
"""What a queued statement weighs beside its parameters."""

type Group = tuple[Statement, ...]


class WriteQueue:
    """Groups of statements on their way to the writer thread, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._groups: deque[Group] = deque()
        self._bytes = 0
        self._added = 0
        self._finished = 0
        self._waiting = 0
        """Who waits for what is queued."""

        self._hurry = threading.Event()
        self.closed = False

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being written."""
        return self._added == self._finished

    def put(self, group: Group) -> bool:
        """Queue a group; False when the queue is full or closed."""
        with self._changed:
            if self.closed or self._bytes >= QUEUE_BYTES:
                return False
            self._groups.append(group)
            self._bytes += _weight(group)
            self._added += 1
            if len(self._groups) == 1:
                self._changed.notify_all()
        return True

    def take(self) -> list[Group]:
        """Wait for the next batch; empty when the queue is closed and used up."""
        batch: list[Group] = []
        statements = 0
        with self._changed:
            self._changed.wait_for(lambda: self._groups or self.closed)
            self._hurry.clear()
            may_linger = not (self.closed or self._waiting)
        if may_linger:
            self._hurry.wait(LINGER_SECONDS)
        with self._changed:
            while self._groups and statements < BATCH_STATEMENTS:
                batch.append(self._groups.popleft())
                statements += len(batch[-1])
        return batch

    def finish(self, groups: Iterable[Group]) -> None:
        """The groups taken are dealt with."""
        with self._changed:
            for group in groups:
                self._bytes -= _weight(group)
                self._finished += 1
            self._changed.notify_all()

    def wait_finished(self) -> None:
        """Return when all that was queued before the call is dealt with."""
        with self._changed:
            target = self._added
            self._waiting += 1
            self._hurry.set()
            self._changed.wait_for(lambda: self._finished >= target)
            self._waiting -= 1

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._hurry.set()
            self._changed.notify_all()

    def abandon(self) -> int:
        """Drop what still waits; how many groups that were."""
        with self._changed:
            dropped = list(self._groups)
            self._groups.clear()
        self.finish(dropped)
        return len(dropped)

    def closed_within(self, seconds: float) -> bool:
        """Wait; True as soon as the queue is closed."""
        with self._changed:
            return self._changed.wait_for(lambda: self.closed, seconds)


def _weight(group: Group) -> int:
    values = (value for _, params in group for value in params.values())
    return len(group) * STATEMENT_BYTES + sum(
        len(value) for value in values if isinstance(value, str | bytes)
    )
