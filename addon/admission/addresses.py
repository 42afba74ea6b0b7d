"""How much clients of one address, and of one network, have open at the same time."""

from collections import Counter
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

__all__ = ("OpenByAddress", "places_of")


@lru_cache(maxsize=4096)
def places_of(address: str) -> tuple[str, str]:
    """What an address counts as, and the network that it counts for.

    A subscriber of IPv6 has a /64 at least, and a site a /48 (RFC 6177 §2); what is no
    address counts as itself.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address, address
    if isinstance(parsed, IPv4Address):
        return address, str(ip_network((parsed, 24), strict=False))
    subnet, site = (str(ip_network((parsed, length), strict=False)) for length in (64, 48))
    return subnet, site


class OpenByAddress:
    """Counts connections or requests."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def take(self, address: str, *, per_address: int, per_network: int) -> bool:
        """Count one more, unless that is too many."""
        if not self.has_room(address, per_address=per_address, per_network=per_network):
            return False
        self._open.update(set(places_of(address)))
        return True

    def has_room(self, address: str, *, per_address: int, per_network: int) -> bool:
        """Whether one more would not be too many."""
        own, network = places_of(address)
        return self._open[own] < per_address and self._open[network] < per_network

    def give_back(self, address: str) -> None:
        """One that was taken has ended."""
        for place in set(places_of(address)):
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]
