"""An in-process token bucket per name, against guessing."""

import ipaddress
from collections import OrderedDict

from shared.clock import Clock

__all__ = ("Throttle", "network_of")

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
