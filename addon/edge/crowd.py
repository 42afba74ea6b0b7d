"""Clients that are turned away because there are too many: in all, of one address, of one
network; and whose lines the log has no room for.
"""

import asyncio
import logging
import resource
from collections.abc import Callable
from weakref import WeakKeyDictionary

from mitmproxy import http
from mitmproxy.utils import asyncio_utils

from addon.admission.addresses import OpenByAddress
from addon.admission.client import is_trusted
from addon.admission.log_budget import LogBudget
from addon.edge.convert import address_of
from addon.edge.http1 import PROXY_IDLE_SECONDS
from shared.clock import Clock
from shared.config.schema import Server

__all__ = ("SPEAKS_TLS", "Crowd")

OF_ADDRESS = "too many connections of its address"
SPEAKS_TLS = (
    "it speaks TLS, and this port takes plain HTTP. Use http:// there, or put a proxy with TLS in "
    "front (docs/operating.md)"
)
OTHER_DESCRIPTORS = 224
"""File descriptors for everything else than clients and their upstreams, like connections to
upstreams that are idle.
"""

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
        self.connected = 0
        """Connections in all, those of trusted proxies too."""

        self._connections = OpenByAddress()
        self._requests = OpenByAddress()
        self._forwarded: WeakKeyDictionary[http.HTTPFlow, str] = WeakKeyDictionary()

    def enter(self, address: str) -> bool:
        """Whether a connection from there is let in, which counts until it leaves."""
        trusted = self._is_trusted(address)
        if self.connected >= self._limit:
            self.tell(address, "too many connections")
        elif not (trusted or self._take(self._connections, address)):
            self.tell(address, OF_ADDRESS)
        else:
            self.connected += 1
            return True
        return False

    def leave(self, address: str) -> None:
        """A connection that was let in has ended."""
        self.connected -= 1
        if not self._is_trusted(address):
            self._connections.give_back(address)

    def patience(self, address: str, *, within_head: bool) -> float:
        """Seconds that a connection may take until its first request, or to the end of its head."""
        server = self._server()
        if within_head or not self._is_trusted(address):
            return server.head_seconds
        return max(PROXY_IDLE_SECONDS, server.idle_seconds)

    def begin(self, flow: http.HTTPFlow, address: str) -> bool:
        """Whether a request of the client at this address may go on; those that come without
        a proxy are counted by their connections.
        """
        if address == address_of(flow.client_conn.peername) or self._is_trusted(address):
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

    def tell(self, address: str, why: str) -> None:
        """Say that a connection from there is closed, within what the log has room for."""
        if self.may_log(address):
            _log.warning("a connection of %s is closed: %s", address, why)

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

    def _is_trusted(self, address: str) -> bool:
        return is_trusted(address, self._server().trusted_proxies)
