"""Addresses that programs listen on, and whether others can reach them."""

import ipaddress
import re

__all__ = ("is_loopback", "split_address", "without_password")


def split_address(address: str) -> tuple[str, int]:
    """Split `127.0.0.1:8787`, `localhost:8787` or `[::1]:8787` into host and port.

    Raises ValueError, with a message for people, for anything else.
    """
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        valid = is_ip6(host)
    else:
        valid = re.fullmatch(r"[A-Za-z0-9._-]+", host) is not None
    if not valid:
        raise ValueError("must be host:port, like 127.0.0.1:8787, or [::1]:8787 for IPv6")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("must end in a port from 1 to 65535, like 127.0.0.1:8787")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host; any name but `localhost` may be public."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def without_password(url: str) -> str:
    """The URL of a database with dots for the passwords in it."""
    return re.sub(r"(//[^/@:]*:)[^/@]*@|((?:^|[?&])(?:ssl)?password=)[^&]*", _dots, url)


def _dots(found: re.Match[str]) -> str:
    return f"{found[1]}…@" if found[1] else f"{found[2]}…"


def is_ip6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
