"""Where programs listen and who can reach them."""

import ipaddress
import socket

from shared.config.address import split_address
from shared.config.schema import Snapshot

__all__ = ("base_url", "is_public", "local_url", "why_taken")

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not bound


def base_url(snapshot: Snapshot) -> str:
    """What is entered as base URL in Cursor or an SDK."""
    return (
        snapshot.server.public_url.rstrip("/") or local_url(snapshot.server.listen_addr)
    ) + "/v1"


def local_url(address: str) -> str:
    """The URL by which this machine reaches a program that listens on `address` (host:port)."""
    host, port = split_address(address)
    host = _ANY.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def why_taken(address: str) -> str:
    """Why no server can listen on `address` (host:port) now; empty when one can."""
    host, port = split_address(address)
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(name)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def is_public(host: str) -> bool:
    """Whether the Internet can reach this host; a name is taken to be public unless custom
    says otherwise.
    """
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".lan"))
