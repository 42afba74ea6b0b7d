"""A small HTTP/1.1 server on raw streams: every byte, chunk and fault of an answer is the
test's own.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterable
from http.client import responses
from types import TracebackType
from typing import Literal, Self

import msgspec

__all__ = (
    "CUT",
    "RESET",
    "Gate",
    "Loopback",
    "Piece",
    "RawServer",
    "Received",
    "Reply",
    "json_reply",
)

type Headers = list[tuple[str, str]]
type Answerer = Callable[[Received], Awaitable[Reply]]
type Break = Literal["cut", "reset"]
type Piece = bytes | Gate | Break

CUT: Break = "cut"
"""The connection ends here, with FIN and without what its framing promised."""

RESET: Break = "reset"
"""The connection ends here with RST."""

READ_LIMIT = 2**26


class Gate:
    """A place in an answer where the server waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.left = threading.Event()
        """Set when the peer hung up while the server waited."""

        self._open = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Let the answer go on; from any thread, once `reached` is set."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._open.set)

    async def hold(self, reader: asyncio.StreamReader) -> bool:
        """Wait for `open`; False when the peer hung up first."""
        self._loop = asyncio.get_running_loop()
        self.reached.set()
        waits = [asyncio.ensure_future(self._open.wait()), asyncio.ensure_future(reader.read(1))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if not self._open.is_set():
            self.left.set()
        return self._open.is_set()


class Received(msgspec.Struct, kw_only=True):
    """A request as it came in, and the status it was given (0 while or when there is none)."""

    method: str
    target: str
    headers: Headers
    body: bytes
    connection: int
    """Number of the connection it came on, from 1."""

    status: int = 0

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def key(self) -> str:
        """The bearer token, or an empty string."""
        return (self.header("authorization") or "").removeprefix("Bearer ")


class Reply(msgspec.Struct, kw_only=True):
    """An answer: each bytes piece is written alone (one chunk when chunked)."""

    status: int = 200
    headers: Headers = []
    pieces: list[Piece] = []
    framing: Literal["length", "chunked", "close", "bare"] = "length"
    """`close`: the body ends with the connection; `bare`: the headers say by themselves how
    long it is.
    """

    prelude: list[Piece] = []
    """Sent before the status line, as it is."""

    trailer: bytes = b""
    """Trailer lines after the last chunk, each with its CRLF."""

    close: bool = False


def json_reply(body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """A JSON answer with a length."""
    return Reply(
        status=status, headers=[("content-type", "application/json"), *headers], pieces=[body]
    )


class RawServer:
    """Serves `answer` on 127.0.0.1 from a thread and loop of its own."""

    def __init__(self, answer: Answerer) -> None:
        self.requests: list[Received] = []
        self.port = 0
        self.connections = 0
        self._answer = answer
        self._writers: set[asyncio.StreamWriter] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.listen()

    def stop(self) -> None:
        """Cut every connection and end the thread."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def listen(self) -> None:
        """Accept connections (again), always on the same port."""
        self._run(self._listen())

    def refuse(self) -> None:
        """Cut every connection and refuse new ones."""
        self._run(self._refuse())

    def _run(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, limit=READ_LIMIT
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if not self._server:
            return
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        conversations = list(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        conversation = asyncio.ensure_future(self._converse(reader, writer, self.connections))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while request := await _read(reader, number):
                    self.requests.append(request)
                    reply = await self._answer(request)
                    request.status = reply.status
                    if (
                        not await _write(reply, reader, writer)
                        or reply.close
                        or reply.framing == "close"
                    ):
                        break
        finally:
            self._writers.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader, number: int) -> Received | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    request = Received(method=method, target=target, headers=headers, body=b"", connection=number)
    if (request.header("transfer-encoding") or "").lower() == "chunked":
        request.body = await _read_chunks(reader)
    else:
        request.body = await reader.readexactly(int(request.header("content-length") or 0))
    return request


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


async def _write(reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Write the whole answer; False when the connection ended before."""
    frame = _chunk if reply.framing == "chunked" else bytes
    end = [b"0\r\n" + reply.trailer + b"\r\n"] if reply.framing == "chunked" else []
    pieces = [
        *reply.prelude,
        _head(reply),
        *(frame(p) if isinstance(p, bytes) else p for p in reply.pieces),
        *end,
    ]
    for piece in pieces:
        if isinstance(piece, Gate):
            if not await piece.hold(reader):
                return False
        elif isinstance(piece, bytes):
            writer.write(piece)
            await writer.drain()
        else:
            _break(writer, piece)
            return False
    return True


def _head(reply: Reply) -> bytes:
    headers = list(reply.headers)
    if reply.framing == "chunked":
        headers.append(("transfer-encoding", "chunked"))
    elif reply.framing == "length":
        headers.append(
            (
                "content-length",
                str(sum(len(piece) for piece in reply.pieces if isinstance(piece, bytes))),
            )
        )
    if reply.close or reply.framing == "close":
        headers.append(("connection", "close"))
    lines = [
        f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Overloaded')}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _break(writer: asyncio.StreamWriter, how: Break) -> None:
    if how == RESET:
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    writer.close()


class Loopback:
    """Something that answers on 127.0.0.1 while it is a context manager; what it answers is
    a subclass's own.
    """

    def __init__(self) -> None:
        self._server = RawServer(self._answer)

    async def _answer(self, request: Received) -> Reply:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.stop()

    @property
    def base_url(self) -> str:
        """The origin, without a path."""
        return f"http://127.0.0.1:{self._server.port}"
