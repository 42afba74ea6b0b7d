"""What the sidecar's routes work with."""

import asyncio
import logging
from collections.abc import Callable

from manage_api.throttle import Throttle
from shared.clock import Clock
from shared.config.schema import Snapshot
from shared.config.watch import Watch
from shared.security.secrets import derive
from shared.store.engine import Engine
from shared.store.overrides import read_stored

__all__ = ("Sidecar",)

log = logging.getLogger("thinkback.sidecar")

_POLL_SECONDS = 1.0
_HASHES_AT_ONCE = 2


class Sidecar:
    """The collaborators of every route; made when the application starts, on the thread of
    its loop.
    """

    def __init__(self, *, store: Engine, watch: Watch, secret: bytes, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.account_attempts = Throttle(capacity=10, refill_seconds=90, clock=clock)
        self.address_attempts = Throttle(capacity=30, refill_seconds=30, clock=clock)
        self.watch = watch
        self.secret = secret
        self.started = clock.monotonic()
        self.long_work = asyncio.Lock()
        """Held while the whole database is read: once at a time is enough."""

        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._laid_version: int | None = None
        self.take_over()

    @property
    def snapshot(self) -> Snapshot:
        """The configuration as it is now."""
        return self.watch.snapshot

    @property
    def token_secret(self) -> str | bytes:
        """What session tokens are signed with; the data plane derives the same."""
        return self.snapshot.jwt_secret or derive(self.secret, "jwt")

    async def hash[**P, R](self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function of `shared.security.passwords` off the loop, two at a time: a
        flood must not take the CPU.
        """
        async with self._hashing:
            return await asyncio.to_thread(work, *args, **kwargs)

    async def follow_configuration(self) -> None:
        """Take over configuration that was edited, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                self.take_over()
            except Exception as error:  # the loop's boundary: the next second may be better
                log.error("The configuration can't be followed (%s).", error)

    def take_over(self) -> None:
        """Take over what was edited in the file or stored since; on the thread of the loop."""
        self.watch.poll()
        version = self.store.version()
        if version != self._laid_version:
            self.watch.lay(read_stored(self.store, self.secret))
            self._laid_version = version
