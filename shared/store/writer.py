"""The thread that commits what a database's writers have queued."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto

from shared.errors import StoreError
from shared.store.write_queue import Write, WriteQueue

__all__ = ("Failure", "Writer")

log = logging.getLogger("thinkback.store")

RETRY_SECONDS = 1.0
LOCKED_SECONDS = 0.001
HURRIED_SECONDS = 0.00005
"""How often a locked database is tried, and how often for what comes first: a program that
writes without a pause leaves some 20 microseconds between two batches. A try that fails
costs about ten.
"""


class Failure(Enum):
    """Why a commit failed."""

    LOCKED = auto()
    """Another program writes."""

    UNWRITABLE = auto()
    """The surroundings: the same write may work later."""

    CLASHED = auto()
    """It met another program's write half-way: each change is tried by itself."""

    REFUSED = auto()
    """The write itself: it will never work."""


class Writer:
    """Commits queued writes in batches, on a thread of its own.

    It lingers for a moment before each batch, unless something comes first. When the
    database is locked for long, the disk is full or read-only, it keeps its queue, says so
    once and tries again until it works. A write that the database refuses for good (a
    broken constraint) is logged and dropped alone.
    """

    def __init__(
        self,
        queue: WriteQueue,
        *,
        commit: Callable[[Sequence[Write]], None],
        after_batch: Callable[[], None],
        judge: Callable[[Exception], tuple[Failure, str]],
        patience_ms: int,
    ) -> None:
        """`commit` raises at once when it can't; `judge` says why, and how the log puts it."""
        self._queue = queue
        self._commit = commit
        self._after_batch = after_batch
        self._judge = judge
        self._patience = patience_ms / 1000
        self._stuck = self._overflowing = False
        self._thread = threading.Thread(
            target=self._run, name="thinkback-store-writer", daemon=True
        )
        self._thread.start()

    def put(self, write: Write) -> bool:
        """Queue a write; False when it is dropped. Raises StoreError once the queue is closed."""
        if self._queue.put(write):
            self._overflowing = False
            return True
        if self._queue.closed:
            raise StoreError("The database is closed.")
        if not self._overflowing:
            self._overflowing = True
            log.error(
                "Too many writes wait for the database: new ones are dropped until "
                "it can be written again."
            )
        return False

    def join(self) -> None:
        """Return when the queue is closed and all of it is dealt with."""
        self._thread.join()

    def _run(self) -> None:
        while batch := self._queue.take():
            self._write(sorted(batch, key=_place))
            self._after_batch()

    def _write(self, batch: list[Write]) -> None:
        """Commit the writes together, and what comes before them meanwhile, waiting out what
        passes; what is refused for good is tried write by write.
        """
        since = time.monotonic()
        while error := self._attempt(batch):
            failure, reason = self._judge(error)
            if failure is Failure.CLASHED and len(batch) > 1:
                return self._write_each(batch)
            if failure is Failure.REFUSED:
                return self._write_apart(batch, reason)
            if failure in _BRIEF and time.monotonic() - since < self._patience:
                time.sleep(HURRIED_SECONDS if batch[0].first else LOCKED_SECONDS)
            elif self._rest(batch, failure, reason):
                return self._give_up(batch)
            else:
                since = time.monotonic()
            if first := self._queue.take_first():
                batch = sorted([*batch, *first], key=_place)
        self._say_unstuck()
        for write in batch:
            write.committed = True
        return self._queue.finish(batch)

    def _write_each(self, batch: list[Write]) -> None:
        for write in batch:
            self._write([write])

    def _write_apart(self, batch: list[Write], reason: str) -> None:
        if len(batch) > 1:
            return self._write_each(batch)
        log.error("A queued write was refused and dropped (%s).", reason)
        return self._queue.finish(batch)

    def _rest(self, batch: list[Write], failure: Failure, reason: str) -> bool:
        """Wait before the next try; whether there is none, as the queue is closed."""
        self._say_stuck(reason)
        if failure is Failure.UNWRITABLE:
            for write in batch:
                write.over = True
        return self._queue.closed_within(RETRY_SECONDS)

    def _give_up(self, batch: list[Write]) -> None:
        self._queue.finish(batch)
        lost = len(batch) + self._queue.abandon()
        log.error(
            "%d queued writes are lost: the database could not be written before the end.", lost
        )

    def _attempt(self, batch: list[Write]) -> Exception | None:
        """Why the writes could not be committed; None when they were."""
        try:
            self._commit(batch)
        except Exception as error:  # the thread's boundary: a bad write must not end it
            return error
        return None

    def _say_stuck(self, reason: str) -> None:
        if not self._stuck:
            self._stuck = True
            log.error(
                "The database can't be written (%s); writes are kept and tried again.", reason
            )

    def _say_unstuck(self) -> None:
        if self._stuck:
            self._stuck = False
            log.warning("The database can be written again.")


_BRIEF = frozenset({Failure.LOCKED, Failure.CLASHED})


def _place(write: Write) -> tuple[bool, int]:
    """Where it stands in a batch; those of one place keep their order."""
    return not write.first, write.rank
