"""A raw HTTP client, cheap enough not to be what is measured."""

import asyncio
import re
import ssl
import time
from functools import cache
from typing import Any, Self

import msgspec

from tests.bench.upstream import length

__all__ = ("Answer", "Client")

_SENT = re.compile(rb" at (\d+\.\d{6}) ")
"""What a paced stream's deltas say."""


class Answer(msgspec.Struct):
    """What one request was given."""

    seconds: float = 0.0
    """From the request to the end of its answer."""

    first: float = 0.0
    """To the first delta."""

    delays: list[float] = []
    """Of the deltas, seconds from upstream to client."""

    arrivals: list[float] = []
    """When the deltas came, on the monotonic clock."""


class Client(asyncio.Protocol):
    """One connection; knows where an answer ends, and no more."""

    @classmethod
    async def connect(cls, port: int, authority: str = "") -> Self:
        """Connect to a port of this machine, over TLS where an authority is to be trusted."""
        loop = asyncio.get_running_loop()
        secured: dict[str, Any] = {}
        if authority:
            secured = {"ssl": _trusting(authority), "server_hostname": "localhost"}
        _, client = await loop.create_connection(cls, "127.0.0.1", port, **secured)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, message: bytes) -> Answer:
        """Send a request and read its answer. Raises RuntimeError unless it was a 200."""
        self._tail = self._head = b""
        self._missing = -1
        self._answer = Answer()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        self._transport.write(message)
        await self._done
        if not self._head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the answer was {self._head!r} {self._tail!r}")
        self._answer.seconds = time.monotonic() - self._began
        return self._answer

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._tail += data
            self._head, found, data = self._tail.partition(b"\r\n\r\n")
            if not found:
                return
            self._missing = length(self._head)
            self._is_chunked = b"chunked" in self._head.lower()
            self._tail = b""
        if sent := _SENT.findall(data):
            self._note(time.monotonic(), sent)
        self._tail = (self._tail + data)[-200:]
        self._missing -= 0 if self._is_chunked else len(data)
        ended = self._tail.endswith(b"0\r\n\r\n") if self._is_chunked else self._missing <= 0
        if ended and not self._done.done():
            self._done.set_result(None)

    def _note(self, now: float, sent: list[bytes]) -> None:
        if not self._answer.delays:
            self._answer.first = now - self._began
        self._answer.delays += [now - float(at) for at in sent]
        self._answer.arrivals += [now] * len(sent)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_done") and not self._done.done():
            self._done.set_exception(RuntimeError(f"the connection was lost: {exc}"))


@cache
def _trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority)
