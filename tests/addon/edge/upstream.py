"""An upstream on the loopback that says bytes as a test has them, and who receives responses."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

from mitmproxy import http

from addon.edge.connect import Places
from addon.edge.upstream_pool import Opening, UpstreamPool
from addon.edge.upstream_socket import Destination, UpstreamSocket
from shared.clock import SystemClock
from shared.config.schema import Server as ServerSettings
from shared.config.schema import Snapshot

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

type Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """Serves each connection by a script; use as an async context manager."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self.connections = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.destination = Destination("127.0.0.1", port, self._tls is not None)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._tasks.append(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._script(reader, writer)
        finally:
            writer.close()


def says(*answers: bytes, stays: bool = True) -> Script:
    """Answers each request with the next of these; then it closes, unless it stays."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await read_request(reader)
            writer.write(answer)
        if stays:
            await asyncio.Event().wait()

    return script


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request, which says how long it is."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


def request(body: bytes = b"{}") -> tuple[bytes, bytes]:
    """Head and body."""
    return b"POST /v1 HTTP/1.1\r\nhost: up.test\r\ncontent-length: %d\r\n\r\n" % len(body), body


class Received:
    """Receives one response."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.lost = ""
        self.was_untouched: bool | None = None
        self.released = 0
        self.over = asyncio.Event()
        self.came = asyncio.Event()
        self.socket: UpstreamSocket | None = None

    def receive(self, head: http.Response | None, data: bytes, *, ended: bool) -> None:
        if head is not None:
            self.status = head.status_code
        self.body += data
        self.came.set()
        if ended:
            self.over.set()

    def lose(self, why: str) -> None:
        self.lost = why
        self.was_untouched = self.socket.untouched if self.socket else None
        self.over.set()

    def release(self) -> None:
        self.released += 1


def pool_of(*, allow_private: bool = True, snapshot: Snapshot | None = None) -> UpstreamPool:
    settings = ServerSettings(allow_private_upstreams=allow_private, admin_addr="127.0.0.3:9000")
    known = snapshot or Snapshot(server=settings)
    return UpstreamPool(Places(lambda: known), SystemClock())


async def connected(pool: UpstreamPool, destination: Destination) -> UpstreamSocket:
    """A connection of the pool, idle or new."""
    idle = pool.take(destination)
    if idle is not None:
        return idle
    opening = Opening(destination)
    await pool.open_upstream(opening)
    assert opening.made is not None, opening.error
    return opening.made


async def asked(pool: UpstreamPool, destination: Destination, body: bytes = b"{}") -> Received:
    """What a request comes to."""
    socket, received = await connected(pool, destination), Received()
    received.socket = socket
    socket.send(*request(body), received)
    await asyncio.wait_for(received.over.wait(), 10)
    return received
