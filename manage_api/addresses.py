"""Addresses that programs listen on, and who can reach them."""

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from shared.config.address import split_address

if TYPE_CHECKING:  # the supervisor needs addresses, and no configuration
    from shared.config.schema import Snapshot

__all__ = (
    "base_url",
    "is_healthy",
    "is_public",
    "lan_urls",
    "listen",
    "local_url",
    "unresolved",
    "why_taken",
)

_BACKLOG = 1024
"""Connections that may wait to be accepted: a burst of clients, or a second without a program."""

_FAR = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of nobody (RFC 5737, RFC 3849), for asking the kernel by which of ours it would go."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not bound
"""A server may listen on all addresses; a client needs one of them."""


RESOLVE_SECONDS = 3.0
"""A name server that answers at all answers by then; a person waits for it."""


class Host(Protocol):
    """What has a name for people, and one to be found by."""

    @property
    def name(self) -> str: ...

    @property
    def host(self) -> str: ...


def base_url(snapshot: "Snapshot") -> str:
    """Return the base URL to enter in Cursor or an SDK."""
    server = snapshot.server
    origin = server.public_url.rstrip("/") or local_url(server.listen_addr)
    return f"{origin}/v1"


def local_url(address: str) -> str:
    """Return the URL at which this machine reaches a program listening on `address`."""
    host, port = split_address(address)
    host = _ANY.get(host, host)
    if ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{port}"


def lan_urls(address: str) -> list[str]:
    """Return the URLs at which other machines reach a program listening on all addresses, by
    `address` (host:port); none for one that listens on some address alone.
    """
    host, port = split_address(address)
    if host not in _ANY:
        return []
    families = [socket.AF_INET]
    if host == "::":
        families.append(socket.AF_INET6)
    hosts = filter(None, map(_own_address, families))
    return [f"http://{f'[{own}]' if ':' in own else own}:{port}" for own in hosts]


def _own_address(family: socket.AddressFamily) -> str:
    """The address by which this machine reaches others; empty if it reaches none."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as unused:
            unused.connect((_FAR[family], 9))  # sends nothing
            return str(unused.getsockname()[0])
    except OSError:
        return ""


def why_taken(address: str) -> str:
    """Explain why no server can listen on `address` (host:port) now; empty when one can."""
    host, port = split_address(address)
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(name)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def listen(address: str) -> list[socket.socket]:
    """Listen on `address` (host:port), all that the host's name resolves to; OSError if not."""
    host, port = split_address(address)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    try:
        for family, _, _, _, name in dict.fromkeys(found):
            opened.append(socket.create_server(name, family=family, backlog=_BACKLOG))
    except OSError:
        for each in opened:
            each.close()
        raise
    return opened


async def is_healthy(url: str, seconds: float = 2) -> bool:
    """Whether `/healthz` of the program at this URL answers 200 within so many seconds."""
    parts = urlsplit(url)
    encrypted = parts.scheme == "https"
    port = parts.port or (443 if encrypted else 80)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                parts.hostname, port, ssl=encrypted or None
            )
            try:
                head = f"GET /healthz HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def is_public(host: str) -> bool:
    """Whether the Internet can reach this host.

    A name counts as public unless it has no dot or a suffix for private use.
    """
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".lan"))


def unresolved(upstreams: Iterable[Host], seconds: float = RESOLVE_SECONDS) -> list[str]:
    """Say which upstreams' names nobody can resolve now; blocks so many seconds at most."""
    faults: dict[str, str] = {}
    hosts = list(dict.fromkeys(each.host for each in upstreams))
    # A look-up can't be cancelled: threads that end with the program.
    threads = [
        threading.Thread(target=_resolve, args=(host, faults), daemon=True) for host in hosts
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    found = dict(faults)
    return [
        f"The host of upstream {each.name} can't be found ({found[each.host]}): {each.host}. "
        "Correct its base_url, or this machine's name server."
        for each in upstreams
        if each.host in found
    ]


def _resolve(host: str, faults: dict[str, str]) -> None:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        faults[host] = error.strerror or str(error)
    except UnicodeError:
        faults[host] = "it is no host name"
