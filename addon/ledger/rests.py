"""Upstreams' keys that rest after a failure, for all nodes and for the admins to see."""

from collections.abc import Iterable

from addon.routing.keyring import Keyring
from shared.clock import Clock
from shared.config.schema import Upstream
from shared.security.keys import digest
from shared.store.engine import Engine
from shared.store.key_rests import rest, resting, works_again
from shared.store.versions import changed

__all__ = ("KeyRests",)


class KeyRests:
    """Writes down which keys rest, and takes over which others have found to."""

    def __init__(self, engine: Engine, clock: Clock, keyring: Keyring) -> None:
        self._engine = engine
        self._clock = clock
        self._keyring = keyring
        self._version: int | None = None
        self._upstreams: tuple[Upstream, ...] = ()

    def begin(self, upstream: str, key: str, seconds: float, why: str) -> None:
        """Let all nodes and admins know that an upstream's key rests."""
        until = self._engine.now_ms() + round(seconds * 1000)
        self._engine.write_later([rest(upstream, key, until, why), changed("resting")])

    def end(self, upstream: str, key: str) -> None:
        """Let them know that a key that rested works again."""
        self._engine.write_later([works_again(upstream, key), changed("resting")])

    def refresh(self, upstreams: Iterable[Upstream]) -> None:
        """Take over what others have found of these keys; cheap enough for every second."""
        version, upstreams = self._engine.versions().get("resting", 0), tuple(upstreams)
        if (version, upstreams) == (self._version, self._upstreams):
            return
        now_ms, now = self._engine.now_ms(), self._clock.monotonic()
        rests = resting(self._engine, now_ms)
        found = {
            (upstream.name, key): now + (rests[row].until - now_ms) / 1000
            for upstream in upstreams
            for key in upstream.api_keys
            if (row := (upstream.name, digest(key))) in rests
        }
        self._keyring.take_over(found)
        self._version, self._upstreams = version, upstreams
