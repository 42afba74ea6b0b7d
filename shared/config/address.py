"""Addresses to listen at, and who reaches them."""

import ipaddress
import re

__all__ = ("is_loopback", "split_address")


def split_address(address: str) -> tuple[str, int]:
    """The host, without brackets, and the port of `127.0.0.1:8787`, `localhost:8787` or
    `[::1]:8787`.

    Raises ValueError with a sentence when it is none of these.
    """
    host, _, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not (is_ip6(host) if bracketed else re.fullmatch(r"[A-Za-z0-9._-]+", host)):
        raise ValueError("must be host:port, like 127.0.0.1:8787, or [::1]:8787 for IPv6")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("must end in a port from 1 to 65535, like 127.0.0.1:8787")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches a host; any name but `localhost` may be another's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_ip6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
