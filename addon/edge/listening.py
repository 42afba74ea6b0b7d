"""The public port: the sockets that the supervisor hands over, taken when the gateway is ready
and left when it ends; or else those that mitmproxy has opened.

mitmproxy can be given no socket: it opens its own, before our script is loaded. With its option
`server` off it opens none, and an instance of its reverse mode takes our connections. Private
parts of mitmproxy 12 are used: `tests/addon/edge/test_canary.py` fails when one of them changes.
"""

import asyncio
import os
import socket
from collections.abc import Iterable, Iterator

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_servers import (
    AsyncioServerInstance,
    ProxyConnectionHandler,
    ServerInstance,
)
from mitmproxy.proxy.mode_specs import ReverseMode

from addon.edge.accept_filter import AcceptFilter, Door
from addon.edge.http_layer import GatewayHttpLayer
from addon.edge.stream import CutOff

__all__ = ("BACKLOG", "Port")

BACKLOG = 1024
"""Connections that may wait to be accepted. With asyncio's 100, a burst of clients has the
kernel drop connections, which come a second later or never.
"""


class Port:
    """What this process serves clients with."""

    def __init__(self, sockets: Iterable[socket.socket], door: Door) -> None:
        self._sockets = tuple(sockets)
        self._door = door
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Take connections, side by side with other processes that have the same sockets."""
        if self._sockets:
            await self._serve(
                ServerInstance.make(ctx.options.mode[0], _proxyserver()), self._sockets
            )
        for instance in _proxyserver().servers:
            if isinstance(instance, AsyncioServerInstance):
                await self._serve(instance, _taken_over(instance))

    async def _serve(
        self, instance: ServerInstance[ReverseMode], sockets: Iterable[socket.socket]
    ) -> None:
        def protocol() -> AcceptFilter:
            return AcceptFilter(instance.handle_stream, self._door)

        loop = asyncio.get_running_loop()
        for each in sockets:
            # One at a time: the process that is idle takes the next, and what another one does
            # not get to stays for us. It is also the kernel's queue, which is long again then.
            self._servers.append(await loop.create_server(protocol, sock=each, backlog=1))
            each.listen(BACKLOG)

    def close(self) -> None:
        """Take no more connections; those that are there go on."""
        for server in self._servers:
            server.close()

    @property
    def running(self) -> int:
        """How many requests are being answered."""
        return sum(len(each.streams) for each in map(_http, _connections()) if each)

    @property
    def flushed(self) -> bool:
        """Whether the clients have been sent all that they were to be sent."""
        return not any(map(_has_unsent, _connections()))

    @property
    def connected(self) -> bool:
        """Whether any client is connected, with or without a request so far."""
        return self._door.connected > 0

    async def cut(self) -> None:
        """End what is being answered with an error."""
        for each in _connections():
            await each.server_event(CutOff())


def _proxyserver() -> Proxyserver:
    found: Proxyserver = ctx.master.addons.get("proxyserver")
    return found


def _taken_over(instance: AsyncioServerInstance[ReverseMode]) -> Iterator[socket.socket]:
    """The sockets that mitmproxy listens at, which it does no more."""
    for server in instance._servers:
        # Those of UDP have none; uvloop's derive from nothing of asyncio's.
        opened = getattr(server, "sockets", ())
        sockets = [socket.socket(fileno=os.dup(each.fileno())) for each in opened]
        if sockets:
            server.close()
            yield from sockets


def _connections() -> list[ProxyConnectionHandler]:
    return list(_proxyserver().connections.values())


def _http(handler: ProxyConnectionHandler) -> GatewayHttpLayer | None:
    layers = handler.layer.context.layers
    return next((each for each in layers if isinstance(each, GatewayHttpLayer)), None)


def _has_unsent(handler: ProxyConnectionHandler) -> bool:
    client = handler.transports.get(handler.client)
    if client is None or not isinstance(client.writer, asyncio.StreamWriter):
        return False
    return client.writer.transport.get_write_buffer_size() > 0
