"""Connections to upstreams: which addresses they may have, and how long making one may take."""

import asyncio
import socket
from collections.abc import Callable

from mitmproxy import connection
from mitmproxy.proxy import server_hooks
from mitmproxy.tls import TlsData

from shared.config.schema import Snapshot
from shared.security.addresses import is_public_address

__all__ = ("Places", "UpstreamConnections")

DEFAULT_SECONDS = 10
"""For an address that no upstream has: the sidecar's, which is on this machine."""


class Places:
    """The addresses that connections may be made to."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._looked_at: Snapshot | None = None
        self._provisioned: frozenset[tuple[str, int]] = frozenset()

    def is_guarded(self, address: tuple[str, int]) -> bool:
        """Whether neither the sidecar nor a provisioned upstream is there: nothing else may
        be in a private network.
        """
        snapshot = self._snapshot()
        if snapshot.server.allow_private_upstreams:
            return False
        if snapshot is not self._looked_at:
            self._looked_at, self._provisioned = snapshot, _provisioned(snapshot)
        return address[:2] not in self._provisioned

    async def resolve(self, address: tuple[str, int], seconds: float | None) -> str:
        """A public address of the host. Raises OSError when one of them is private, or there is
        none.
        """
        host, port = address
        loop = asyncio.get_running_loop()
        try:
            resolved = await asyncio.wait_for(
                loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), seconds
            )
        except (OSError, UnicodeError, TimeoutError) as error:
            raise OSError(str(error) or "its name does not resolve") from error
        addresses = [str(sockaddr[0]) for *_, sockaddr in resolved]
        if not all(map(is_public_address, addresses)):
            raise OSError("private address")
        return addresses[0]

    def connect_seconds(self, address: tuple[str, int] | None) -> float:
        """The shortest connect timeout of the upstreams at this address; 0: none."""
        if address is None:
            return DEFAULT_SECONDS
        timeouts = [
            upstream.timeouts.connect
            for upstream in self._snapshot().upstreams
            if (upstream.host, upstream.port) == address[:2]
        ]
        return min(timeouts, default=DEFAULT_SECONDS)


class UpstreamConnections:
    """A mitmproxy addon that vets the address of each server connection and bounds its making."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._names: dict[str, tuple[str, int]] = {}
        """Names of the servers whose address stands in the connection while it is made."""

    async def server_connect(self, hook: server_hooks.ServerConnectionHookData) -> None:
        # mitmproxy connects when this hook fails: refused first, let go at last.
        hook.server.error = "the gateway failed"
        task = asyncio.current_task()
        seconds = self._places.connect_seconds(hook.server.address)
        if hook.server.address is not None and self._places.is_guarded(hook.server.address):
            await self._vet(hook.server, hook.server.address, seconds or None)
        else:
            hook.server.error = None
        if task is not None and seconds and not hook.server.error:
            timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
            self._timers[hook.server.id] = timer

    def server_connected(self, hook: server_hooks.ServerConnectionHookData) -> None:
        if name := self._names.pop(hook.server.id, None):
            # Its name again, by which later requests find the open connection; mitmproxy
            # refuses the change when open.
            object.__setattr__(hook.server, "address", name)
        if not hook.server.tls:
            self._release(hook.server)

    def tls_established_server(self, hook: TlsData) -> None:
        self._release(hook.context.server)

    def server_connect_error(self, hook: server_hooks.ServerConnectionHookData) -> None:
        self._release(hook.server)

    def server_disconnected(self, hook: server_hooks.ServerConnectionHookData) -> None:
        self._release(hook.server)

    async def _vet(
        self, server: connection.Server, address: tuple[str, int], seconds: float | None
    ) -> None:
        """Let a connection be made to a public address only, and to the very one that was
        looked at.
        """
        try:
            vetted = await self._places.resolve(address, seconds)
        except OSError as error:
            server.error = str(error)
            return
        self._names[server.id] = address
        server.address = vetted, address[1]
        server.error = None

    def _release(self, server: connection.Server) -> None:
        """Forget what was noted while the connection was being made."""
        self._names.pop(server.id, None)
        if timer := self._timers.pop(server.id, None):
            timer.cancel()


def _provisioned(snapshot: Snapshot) -> frozenset[tuple[str, int]]:
    host, _, port = snapshot.server.admin_addr.rpartition(":")
    upstreams = [upstream for upstream in snapshot.upstreams if not upstream.guarded]
    there = {(upstream.host, upstream.port) for upstream in upstreams}
    return frozenset(there | {(host.strip("[]"), int(port))})
