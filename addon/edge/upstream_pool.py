"""Connections to upstreams that all clients share: a client's first request finds one that is
there already, and waits for no handshake.

mitmproxy makes its server connections for one client each, and carries TLS in Python. Here
asyncio carries it, and nothing of a connection belongs to whoever used it last: keys go with
each request.
"""

import asyncio
import os
import ssl
from collections import defaultdict
from dataclasses import dataclass

import msgspec
from mitmproxy import ctx
from mitmproxy.proxy import commands

from addon.edge.connect import Places
from addon.edge.upstream_socket import Destination, UpstreamSocket
from shared.clock import Clock
from shared.security.trust import tls_context

__all__ = ("PLAIN_PATH", "OpenUpstreamHook", "Opening", "UpstreamPool", "takes_plain_path")

PLAIN_PATH = "THINKBACK_PLAIN_PATH"
"""The environment's word for asking upstreams by mitmproxy's own connections."""

IDLE_SECONDS = 45
"""How long a connection is kept without a request: most load balancers close after 60 s or
more, and one that is closed as it is used again costs a round trip.
"""

MOST_IDLE = 64
"""Connections to one place that are kept: as many as people stream from it at once."""

MOST_IDLE_IN_ALL = 96

_OF_MITMPROXY = (
    "ciphers_server",
    "client_certs",
    "connect_addr",
    "tls_ecdh_curve_server",
    "tls_version_server_max",
    "tls_version_server_min",
)
"""mitmproxy's options of server connections that are not read here."""


class Opening(msgspec.Struct):
    """A connection that is being made, and what came of it."""

    destination: Destination
    made: UpstreamSocket | None = None
    error: str = "the gateway failed"


@dataclass
class OpenUpstreamHook(commands.StartHook):
    """A call waits for a connection; mitmproxy holds back its events as long."""

    opening: Opening


class UpstreamPool:
    """A mitmproxy addon that makes connections, and keeps those that are idle."""

    def __init__(self, places: Places, clock: Clock) -> None:
        self._places = places
        self._clock = clock
        self._idle: defaultdict[Destination, list[tuple[float, UpstreamSocket]]]
        self._idle = defaultdict(list)
        """Since when, in seconds on the monotonic clock."""

        self._tls: ssl.SSLContext | None = None

    def take(self, destination: Destination) -> UpstreamSocket | None:
        """An idle connection, the one that was used last."""
        idle = self._idle.get(destination)
        while idle:
            _, found = idle.pop()
            vetted = found.is_vetted or not self._places.is_guarded(destination[:2])
            if vetted and found.is_open:
                return found
            found.abort()
        return None

    async def open_upstream(self, opening: Opening) -> None:
        try:
            opening.made = await self._open(opening.destination)
        except TimeoutError:
            opening.error = "cancelled"
        except ssl.SSLError as error:
            opening.error = f"TLS: {error}"
        except (OSError, UnicodeError) as error:
            opening.error = str(error) or "no connection"

    async def _open(self, destination: Destination) -> UpstreamSocket:
        address, began = destination[:2], self._clock.now_ms() / 1000
        seconds = self._places.connect_seconds(address) or None
        is_guarded, host = self._places.is_guarded(address), destination.host
        async with asyncio.timeout(seconds):
            if is_guarded:
                host = await self._places.resolve(address, None)
            tls = await self._tls_context() if destination.tls else None
            _, made = await asyncio.get_running_loop().create_connection(
                lambda: UpstreamSocket(destination, self, is_vetted=is_guarded),
                host,
                destination.port,
                ssl=tls,
                server_hostname=destination.host if destination.tls else None,
            )
        made.server.timestamp_start = began
        made.server.timestamp_tcp_setup = self._clock.now_ms() / 1000
        return made

    def keep(self, idle: UpstreamSocket) -> None:
        """Keep a connection for the next request."""
        kept = self._idle[idle.destination]
        if len(kept) >= MOST_IDLE or sum(map(len, self._idle.values())) >= MOST_IDLE_IN_ALL:
            idle.close()
            return
        kept.append((self._clock.monotonic(), idle))

    def forget(self, closed: UpstreamSocket) -> None:
        """A connection has ended."""
        kept = self._idle.get(closed.destination, [])
        kept[:] = [(since, each) for since, each in kept if each is not closed]

    def each_second(self) -> None:
        """Close what has been idle for long."""
        before = self._clock.monotonic() - IDLE_SECONDS
        for destination, kept in list(self._idle.items()):
            while kept and kept[0][0] < before:
                kept.pop(0)[1].close()
            if not kept:
                del self._idle[destination]

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading all authorities takes some 20 ms.
            self._tls = await asyncio.to_thread(_tls_context)
        return self._tls


def takes_plain_path() -> bool:
    """Whether upstreams are asked by mitmproxy's own connections."""
    return bool(os.environ.get(PLAIN_PATH)) or any(map(ctx.options.has_changed, _OF_MITMPROXY))


def _tls_context() -> ssl.SSLContext:
    return tls_context(
        ctx.options.ssl_verify_upstream_trusted_ca,
        ctx.options.ssl_verify_upstream_trusted_confdir,
    )
