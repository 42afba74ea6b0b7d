"""Where a request comes from, and whether its head is fit to be looked at."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import chain

__all__ = ("client_address", "head_fault", "is_trusted", "without_hop_by_hop")

type Fields = Sequence[tuple[bytes, bytes]]
"""Header names and values as they came."""

type Address = IPv4Address | IPv6Address

MAX_FIELDS = 256
"""Headers that a request may have: no client sends a quarter of it."""

_METHOD = re.compile(r"[A-Z]{1,16}", re.ASCII)
_TARGET = re.compile(r"/[!-~]*", re.ASCII)
_CONTROLS = bytes([*range(9), *range(10, 32), 127])
_HOP = re.compile(r"\[([^\]]*)\](?::\d+)?|([^:]*):\d+", re.ASCII)
"""A hop with brackets or with a port; a bare IPv6 address has neither."""

LONGEST_HOP = 64
"""Characters: 54 are an IPv6 address with brackets and a port. What is longer, and may be as long
as a head, is not looked at and not kept.
"""

_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
}
_FRAMING = {"content-length", "host", "transfer-encoding"}
"""mitmproxy frames the body for the next hop by these: whatever a client lists in
`Connection`, they stay.
"""

_FORWARDING = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}


def head_fault(method: str, target: str, http_version: str, fields: Fields) -> str:
    """Why the head of a request is refused, or an empty string.

    mitmproxy passes control characters, folded lines and absolute-form targets on; others
    downstream may read them differently (RFC 9112 §11.2).
    """
    if not _METHOD.fullmatch(method):
        return "the method is not a word of capital letters"
    if not _TARGET.fullmatch(target):
        return "the target must be a path of printable ASCII"
    if http_version not in ("HTTP/1.0", "HTTP/1.1"):
        return "only HTTP/1.0 and HTTP/1.1 are served"
    if len(fields) > MAX_FIELDS:
        return f"there are more than {MAX_FIELDS} headers"
    if [name.lower() for name, _ in fields].count(b"content-length") > 1:
        return "its length is given more than once"
    whole = b"".join(chain.from_iterable(fields))
    if len(whole.translate(None, _CONTROLS)) < len(whole):
        return "a header holds control characters"
    return ""


def client_address(peer: str, forwarded_for: str, trusted: tuple[str, ...]) -> str:
    """The client's address: the peer, or for trusted proxies the last hop before them in
    `X-Forwarded-For`.
    """
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    address = peer
    while hops and is_trusted(address, trusted):
        address = hops.pop()
    if len(address) > LONGEST_HOP:
        return peer
    return _normal(address) or peer


def is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    """Whether the address belongs to a trusted proxy."""
    return len(address) <= LONGEST_HOP and _is_in(address, trusted)


@lru_cache(maxsize=1024)
def _is_in(address: str, networks: tuple[str, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(
        parsed.version == network.version and parsed in network for network in _networks(networks)
    )


@lru_cache(maxsize=1024)
def _normal(address: str) -> str:
    """The address in its usual spelling, without a port; empty for what is none."""
    parsed = _parsed(address)
    return str(parsed) if parsed else ""


def without_hop_by_hop(fields: Fields) -> list[tuple[bytes, bytes]]:
    """The fields that may be passed on (RFC 9110 §7.6.1), without those that claim where
    the request came from.
    """
    listed = (
        b",".join(text for name, text in fields if name.lower() == b"connection")
        .decode("latin-1")
        .lower()
    )
    dropped = (_HOP_BY_HOP | _FORWARDING | {name.strip() for name in listed.split(",")}) - _FRAMING
    return [(name, text) for name, text in fields if name.decode("latin-1").lower() not in dropped]


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network, strict=False) for network in trusted)


def _parsed(text: str) -> Address | None:
    """The address in a hop, without its port; a zone (`%eth0`) could hold any text."""
    bare, hop = text, _HOP.fullmatch(text)
    if hop is not None:
        bare = hop[1] or hop[2] or ""
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return None
        return address.ipv4_mapped or address
    return address
