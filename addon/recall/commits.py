"""What must be in the database before a client sees the end of an answer: a kill right after
it loses neither turn nor usage.
"""

import logging
from collections.abc import Sequence

from shared.clock import Clock
from shared.store.engine import Change, Engine, Pending

__all__ = ("Commit", "Commits", "Storing")

PATIENCE_SECONDS = 5
"""How long the end of an answer waits: as long as the store tries before it says that the
database can't be written.
"""

_log = logging.getLogger("thinkback.recall")


class Commits:
    """Commits what the end of an answer waits for, on the event loop's thread."""

    def __init__(self, engine: Engine, clock: Clock, log: logging.Logger = _log) -> None:
        self._engine = engine
        self._clock = clock
        self._log = log
        self._goes_uncommitted = False
        """Whether the log says that ends are sent before their turns are in the database."""

    def write(
        self,
        change: Change,
        *,
        on_thread: bool = False,
        alone: Sequence[str] = (),
        rank: int = 0,
    ) -> "Commit | None":
        """Commit the change before all that is queued; None when that is done. The rest is as
        for `Engine.write_first`.
        """
        pending = self._engine.write_first(change, on_thread=on_thread, alone=alone, rank=rank)
        if pending is None:
            self._goes_uncommitted = False
            return None
        return Commit(self, pending, self._clock.monotonic() + PATIENCE_SECONDS)

    def is_awaited(self, pending: Pending, until: float) -> bool:
        """Whether a commit is still waited for, until a time on the monotonic clock."""
        if pending.over:
            return False
        if self._clock.monotonic() < until:
            return True
        if not self._goes_uncommitted:
            self._goes_uncommitted = True
            self._log.warning(
                "The database has been busy for %d s: answers end before they are stored. "
                "A crash would lose them.",
                PATIENCE_SECONDS,
            )
        return False


class Commit:
    """A commit that is under way."""

    def __init__(self, commits: Commits, pending: Pending, until: float) -> None:
        self._commits = commits
        self._pending = pending
        self._until = until

    @property
    def committed(self) -> bool:
        """Whether it is done."""
        return self._pending.committed

    @property
    def awaited(self) -> bool:
        """Whether the end of the answer has to wait for it."""
        return self._commits.is_awaited(self._pending, self._until)

    @property
    def over(self) -> bool:
        """Whether it is made, or can't be for now."""
        return self._pending.over


class Storing:
    """The commits that the end of one answer waits for."""

    def __init__(self) -> None:
        self._commits: list[Commit] = []

    def add(self, *commits: Commit | None) -> None:
        """Wait for these too; None has been made."""
        self._commits += [commit for commit in commits if commit is not None]

    @property
    def over(self) -> bool:
        """Whether the client may see the end: all is stored, or was waited for long enough."""
        self._commits = [commit for commit in self._commits if commit.awaited]
        return not self._commits
