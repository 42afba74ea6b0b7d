"""Clients that are turned away because there are too many: in all, of one address, of one
network; and whose lines the log has no room for.
"""

import asyncio
import logging
import resource
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import connection, http
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy.mode_servers import ServerInstance
from mitmproxy.utils import asyncio_utils

from addon.admission.addresses import OpenByAddress
from addon.admission.client import is_trusted
from addon.admission.log_budget import LogBudget
from addon.edge.convert import address_of
from shared.clock import Clock
from shared.config.schema import Server

__all__ = ("Crowd",)

OF_ADDRESS = "too many connections of its address"
OTHER_DESCRIPTORS = 128
"""File descriptors for everything else than clients and their upstreams."""

TELL_SECONDS = 10
"""How often it is looked whether a minute is over."""

TOLD_ADDRESSES = 5
"""Addresses that one line names."""

_log = logging.getLogger("thinkback")


class Crowd:
    """A mitmproxy addon that counts connections, and for proxies the requests that they forward."""

    def __init__(self, server: Callable[[], Server], clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._log_budget = LogBudget()
        self._telling: asyncio.Task[None] | None = None
        # Two descriptors a client, its own and its upstream's.
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._limit = max(64, (descriptors - OTHER_DESCRIPTORS) // 2)
        self._clients: dict[str, str] = {}
        """Addresses of the connections, by their ids; empty for trusted proxies."""

        self._connections = OpenByAddress()
        self._requests = OpenByAddress()
        self._forwarded: WeakKeyDictionary[http.HTTPFlow, str] = WeakKeyDictionary()

    def load(self, loader: Loader) -> None:
        """Turn away a connection before mitmproxy makes anything of it: that is most of what
        a flood of them costs.
        """
        serve = ServerInstance.handle_stream
        crowd = self

        async def handle_stream(
            instance: ServerInstance[Any],
            reader: asyncio.StreamReader,
            writer: asyncio.StreamWriter | None = None,
        ) -> None:
            if writer is not None and not crowd.has_room(writer.get_extra_info("peername")):
                writer.transport.abort()
                return
            await serve(instance, reader, writer)

        ServerInstance.handle_stream = handle_stream  # type: ignore[method-assign, assignment]

    def has_room(self, peername: tuple[str, int] | None) -> bool:
        """Whether a connection from there would be let in; says so if not."""
        address = address_of(peername)
        if is_trusted(address, self._server().trusted_proxies):
            return True
        if self._connections.has_room(address, **self._caps()):
            return True
        self._tell(address, OF_ADDRESS)
        return False

    def client_connected(self, client: connection.Client) -> None:
        if len(self._clients) >= self._limit:
            self._turn_away(client, "too many connections")
            return
        address = address_of(client.peername)
        if is_trusted(address, self._server().trusted_proxies):
            self._clients[client.id] = ""
        elif self._take(self._connections, address):
            self._clients[client.id] = address
        else:
            self._turn_away(client, OF_ADDRESS)

    def client_disconnected(self, client: connection.Client) -> None:
        if address := self._clients.pop(client.id, ""):
            self._connections.give_back(address)

    def begin(self, flow: http.HTTPFlow, address: str) -> bool:
        """Whether a request of the client at this address may go on; those that come without
        a proxy are counted by their connections.
        """
        if address == address_of(flow.client_conn.peername) or is_trusted(
            address, self._server().trusted_proxies
        ):
            return True
        if not self._take(self._requests, address):
            return False
        self._forwarded[flow] = address
        return True

    def end(self, flow: http.HTTPFlow) -> None:
        """The request has ended; a second time does nothing."""
        if address := self._forwarded.pop(flow, ""):
            self._requests.give_back(address)

    def may_log(self, address: str) -> bool:
        """Whether the log takes another line of a stranger at this address."""
        return self._log_budget.take(address)

    def running(self) -> None:
        self._telling = asyncio_utils.create_task(
            self._tell_now_and_then(), name="thinkback left out lines", keep_ref=True
        )

    def done(self) -> None:
        if self._telling is not None:
            self._telling.cancel()

    async def _tell_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            self.tell_left_out()

    def tell_left_out(self) -> None:
        """Say, once for each minute, whose lines were left out."""
        left_out = self._log_budget.next_minute(self._clock.monotonic())
        if left_out:
            total = sum(count for _, count in left_out)
            told = ", ".join(
                f"{count} of {address}" for address, count in left_out[:TOLD_ADDRESSES]
            )
            _log.warning("log lines of callers without a key left out: %d (%s)", total, told)

    def _take(self, counted: OpenByAddress, address: str) -> bool:
        return counted.take(address, **self._caps())

    def _caps(self) -> dict[str, int]:
        server = self._server()
        return {
            "per_address": min(server.max_connections_per_address, self._limit // 2),
            "per_network": min(server.max_connections_per_network, self._limit * 3 // 4),
        }

    def _turn_away(self, client: connection.Client, why: str) -> None:
        client.error = why
        self._tell(address_of(client.peername), why)

    def _tell(self, address: str, why: str) -> None:
        if self.may_log(address):
            _log.warning("a connection of %s is closed: %s", address, why)
