"""A canned upstream and a raw client, both cheap enough not to be what is measured."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

__all__ = ("DELTAS", "CannedUpstream", "Load", "Sample", "chunked", "request")

DELTAS = 100
"""Text deltas in a streamed answer."""

PACE = 0.02
"""Seconds between two deltas of a paced stream."""

CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"%b","choices":[{"index":0,"delta":'
    b'%b,"logprobs":null,"finish_reason":%b}]}\n\n'
)
USAGE = b'"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}'
PLAIN = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"%b","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Hello there.","reasoning_content":"They said hello."},"logprobs":null,"finish_reason":"stop"}],%b}'
)
MODEL = b"deepseek-v4-pro"


def request(key: str, *, mode: str) -> bytes:
    """A small chat request: `plain`, `flood` (streamed as fast as it goes) or `paced`."""
    more = b"" if mode == "plain" else b',"stream":true,"stream_options":{"include_usage":true}'
    body = b'{"model":"%b","user":"%b","messages":[{"role":"user","content":"hello"}]%b}' % (
        MODEL,
        mode.encode(),
        more,
    )
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return (
        f"{head}Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


def _events() -> Iterator[bytes]:
    yield CHUNK % (MODEL, b'{"role":"assistant","content":null,"reasoning_content":""}', b"null")
    for _ in range(DELTAS // 2):
        yield CHUNK % (MODEL, b'{"content":null,"reasoning_content":" thought"}', b"null")
    for _ in range(DELTAS // 2):
        yield CHUNK % (MODEL, b'{"content":" word","reasoning_content":null}', b"null")
    yield CHUNK % (MODEL, b'{"content":""}', b'"stop"')
    yield (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"%b","choices":[],%b}\n\n'
        % (
            MODEL,
            USAGE,
        )
    )
    yield b"data: [DONE]\n\n"


def chunked(events: Iterable[bytes]) -> list[bytes]:
    """Each event as a chunk of its own."""
    return [b"%x\r\n%b\r\n" % (len(event), event) for event in events]


EVENTS = chunked(_events())
PLAIN_BODY = PLAIN % (MODEL, USAGE)
PLAIN_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (
        len(PLAIN_BODY),
        PLAIN_BODY,
    )
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class CannedUpstream(asyncio.Protocol):
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self._buffer = b""
        self._sending: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._buffer = b""
        if b'"stream":true' not in body:
            self._transport.write(PLAIN_ANSWER)
            return
        sending = asyncio.ensure_future(
            self._stream(self.events(head), 0 if b'"flood"' in body else PACE)
        )
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        for sending in self._sending:
            sending.cancel()

    def events(self, head: bytes) -> list[bytes]:
        """What is streamed to the request with this head."""
        return EVENTS

    async def _stream(self, events: list[bytes], pace: float) -> None:
        self._transport.write(STREAM_HEAD)
        for event in events:
            self._transport.write(event)
            await asyncio.sleep(pace)
        self._transport.write(b"0\r\n\r\n")


class Sample(msgspec.Struct):
    """What one run of a load gave."""

    seconds: float
    latencies: list[float]
    """Seconds from request to the end of its answer, one per request."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds


class Load:
    """Keep-alive connections that send one request after the other."""

    def __init__(self, port: int, message: bytes) -> None:
        self._port = port
        self._message = message

    async def run(self, *, connections: int, each: int) -> Sample:
        """Send `each` requests on every connection, all connections at once."""
        clients = [await _Client.connect(self._port) for _ in range(connections)]
        began = time.perf_counter()
        latencies = await asyncio.gather(*(self._repeat(client, each) for client in clients))
        seconds = time.perf_counter() - began
        for client in clients:
            client.close()
        return Sample(seconds, [latency for of_one in latencies for latency in of_one])

    async def _repeat(self, client: "_Client", times: int) -> list[float]:
        return [await client.ask(self._message) for _ in range(times)]


class _Client(asyncio.Protocol):
    """One connection; knows where an answer ends, and no more."""

    @classmethod
    async def connect(cls, port: int) -> Self:
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, message: bytes) -> float:
        """Send a request and read its answer; the seconds it took. Raises RuntimeError
        unless it was a 200.
        """
        self._tail = self._head = b""
        self._missing = -1
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(message)
        await self._done
        if not self._head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the answer was {self._head!r}")
        return time.perf_counter() - began

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._tail += data
            self._head, found, data = self._tail.partition(b"\r\n\r\n")
            if not found:
                return
            self._missing = _length(self._head)
            self._tail = b""
        chunked = b"chunked" in self._head
        self._tail = (self._tail + data)[-5:] if chunked else b""
        self._missing -= 0 if chunked else len(data)
        if self._tail == b"0\r\n\r\n" or (not chunked and self._missing <= 0):
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_done") and not self._done.done():
            self._done.set_exception(RuntimeError(f"the connection was lost: {exc}"))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
