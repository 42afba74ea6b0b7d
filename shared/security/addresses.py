"""Which network addresses are the Internet's, and which lead into a private network or to
this machine.
"""

import ipaddress
from ipaddress import IPv4Address, IPv6Address, IPv6Network

__all__ = ("is_public_address",)

_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out to be routed (https://www.iana.org/assignments/ipv6-address-space)."""

_TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4 lead to an IPv4 address that is hidden in theirs."""

_NAT64 = IPv6Network("64:ff9b::/96")
"""The last 32 bits are an IPv4 address (RFC 6052); what IPv6-only networks resolve names to."""

_CLOUD = frozenset({IPv4Address("168.63.129.16")})
"""Public in form, but answered by the machine's own cloud (Azure's host agent)."""


def is_public_address(address: str) -> bool:
    """Whether an IP address is one of the Internet's; False for a name, a zone, and
    anything that is not an address.

    An IPv4 address inside an IPv6 one is judged by itself.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if inner := _inner(parsed):
            return _is_public_4(inner)
        return parsed.scope_id is None and parsed in _UNICAST and not _is_special(parsed)
    return _is_public_4(parsed)


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


def _is_special(address: IPv6Address) -> bool:
    return not address.is_global or any(address in tunnel for tunnel in _TUNNELS)


def _is_public_4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and address not in _CLOUD
