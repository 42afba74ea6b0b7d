"""A token bucket per name, against guessing: of this process, and of all that share the store."""

import ipaddress
from collections import OrderedDict

from shared.clock import Clock
from shared.security.keys import digest
from shared.store.engine import Engine, Statement
from shared.store.limits import charge, failed_attempts

__all__ = ("Attempts", "Throttle", "network_of")

_SECOND = 1_000_000

_MAX_NAMES = 10_000
"""About a megabyte; the name used longest ago is forgotten first."""


class Throttle:
    """Allows bursts of `capacity` attempts per name, refilled one every `refill_seconds`."""

    def __init__(self, *, capacity: int, refill_seconds: float, clock: Clock) -> None:
        self._capacity = capacity
        self._refill_seconds = refill_seconds
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Use one attempt; return 0, or the seconds to wait when none is left."""
        now = self._clock.monotonic()
        left = self._left(name, now)
        if left < 1:
            return (1 - left) * self._refill_seconds
        self._keep(name, left - 1, now)
        return 0

    def give_back(self, name: str) -> None:
        """Return the attempt: a success does not count."""
        now = self._clock.monotonic()
        self._keep(name, self._left(name, now) + 1, now)

    def _left(self, name: str, now: float) -> float:
        left, since = self._buckets.get(name, (float(self._capacity), now))
        return min(self._capacity, left + (now - since) / self._refill_seconds)

    def _keep(self, name: str, left: float, now: float) -> None:
        self._buckets[name] = (left, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MAX_NAMES:
            self._buckets.popitem(last=False)


class Attempts:
    """Allows bursts of `capacity` failed attempts per name in all sidecars together, refilled one
    every `refill_seconds`. What is under way counts in this process, what has failed in all.
    """

    def __init__(
        self, store: Engine, kind: str, *, capacity: int, refill_seconds: float, clock: Clock
    ) -> None:
        """`kind` tells those of one purpose from others."""
        self._store = store
        self._kind = kind
        self._here = Throttle(capacity=capacity, refill_seconds=refill_seconds, clock=clock)
        self._each = round(refill_seconds * _SECOND)
        self._all = self._each * capacity

    def take(self, name: str) -> float:
        """Begin an attempt; return 0, or the seconds to wait when none is left."""
        if wait := self._here.take(name):
            return wait
        failed = failed_attempts(self._store, self._subject(name), self._store.now_ms())
        lacking = failed + self._each - self._all
        if lacking > 0:
            self._here.give_back(name)
        return max(0, lacking) / _SECOND

    def give_back(self, name: str) -> None:
        """Return the attempt: a success does not count."""
        self._here.give_back(name)

    def failure(self, name: str) -> Statement:
        """What is to be written of an attempt that counts."""
        return charge(self._subject(name), "attempts", self._each, self._store.now_ms())

    def _subject(self, name: str) -> str:
        # A digest: names may be long, and people type passwords in their place.
        return f"{self._kind}:{digest(name)}"


def network_of(address: str) -> str:
    """The name under which an address is counted: of IPv6 the /64 network, which is what one
    customer gets at least (RFC 6177, section 2), else the address itself.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
