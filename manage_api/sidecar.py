"""What the sidecar's routes work with."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from manage_api.throttle import Attempts
from shared.clock import Clock
from shared.config.live import LiveConfiguration
from shared.config.schema import Snapshot
from shared.config.watch import Watch
from shared.errors import StoreError
from shared.routes import known_models
from shared.security.secrets import derive
from shared.store.engine import Engine
from shared.store.overrides import read_overrides
from shared.store.upstream_models import Listing, listed_models, listings

__all__ = ("Sidecar",)

log = logging.getLogger("thinkback.sidecar")

_REFRESH_SECONDS = 1.0
"""The pages promise that a change is in force within two seconds."""

_MAX_HASHES = 2
"""bcrypt at a time: a flood of logins must leave the CPU to the data plane."""


class Sidecar:
    """The collaborators of every route.

    It is made when the application starts, on the thread of its loop.
    """

    def __init__(self, *, store: Engine, watch: Watch, secret: bytes, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        # Many people may share an address, and strangers guess at other people's accounts: only
        # guesses at one account from one address say whom to stop.
        self.guesses = self._attempts("guess", capacity=10, refill_seconds=90)
        self.address_attempts = self._attempts("address", capacity=30, refill_seconds=30)
        # Guesses from many addresses: its owner is among those who try, so they only slow down.
        self.account_attempts = self._attempts("account", capacity=30, refill_seconds=30)
        # Of those who know the password: a guess at six digits is right once in 300,000 times.
        self.code_attempts = self._attempts("code", capacity=5, refill_seconds=60)
        self.configuration = LiveConfiguration(
            watch, self._overrides_version, partial(read_overrides, store, secret)
        )
        self.secret = secret
        self.started = clock.monotonic()
        self.long_work = asyncio.Lock()
        """Held while the whole database is read: once at a time is enough."""

        self._hashing = asyncio.Semaphore(_MAX_HASHES)

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self.configuration.snapshot

    @property
    def token_secret(self) -> str | bytes:
        """The key that signs session tokens; the data plane derives the same one."""
        return self.snapshot.jwt_secret or derive(self.secret, "jwt")

    def listings(self) -> dict[str, Listing]:
        """Return what came of asking the upstreams for their models, by upstream."""
        return listings(self.store, self.snapshot.upstreams)

    def listed_models(self) -> dict[str, tuple[str, ...]]:
        """Return what the upstreams list as models that clients may request, by upstream."""
        return listed_models(self.store, self.snapshot.upstreams)

    def known_models(self) -> list[str]:
        """List the models that clients may request: configured, or listed by upstreams."""
        return known_models(self.snapshot.upstreams, self.listed_models())

    async def count(self, *attempts: tuple[Attempts, str]) -> None:
        """Let attempts under these names count in all sidecars."""
        with suppress(StoreError):  # in this one they count already
            await self.store.commit([kind.failure(name) for kind, name in attempts])

    def _attempts(self, kind: str, *, capacity: int, refill_seconds: float) -> Attempts:
        return Attempts(
            self.store, kind, capacity=capacity, refill_seconds=refill_seconds, clock=self.clock
        )

    def _overrides_version(self) -> int:
        return self.store.versions().get("configuration", 0)

    async def hash[**P, R](self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function of `shared.security.passwords` off the loop, two at a time."""
        async with self._hashing:
            return await asyncio.to_thread(work, *args, **kwargs)

    async def follow_configuration(self) -> None:
        """Apply changes to the configuration until cancelled."""
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                self.configuration.refresh()
            except Exception as error:  # the loop's boundary: the next second may be better
                log.error("Can't refresh the configuration (%s).", error)
