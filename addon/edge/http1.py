"""HTTP/1 towards clients and upstreams, with the bounds that mitmproxy leaves to us.

mitmproxy has no limit on header size, on pipelined bytes or on slow clients, takes a 1xx
for the final response and crashes on trailers (its SECURITY.md counts denial of service as
ordinary bugs). These subclasses use private parts of mitmproxy 12:
`tests/addon/edge/test_canary.py` fails when one of them changes.
"""

import re
from collections.abc import Callable

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.http import MessageData, Request
from mitmproxy.net.http import http1 as http1_heads
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server
from mitmproxy.proxy.server import ConnectionHandler

from addon.admission.addresses import places_of
from addon.admission.body_room import BodyRoom, Held
from addon.edge.convert import address_of
from addon.formats.neutral.problem import Problem, error_body
from shared.clock import Clock
from shared.config.schema import Server

__all__ = ("ClientHttp1", "Tick", "UpstreamHttp1", "install")

MAX_HEAD = 64 * 1024
"""Bytes of a request or response head, or of a response chunk's header."""

MAX_PIPELINED = 64 * 1024
"""Bytes a client may send ahead while it waits for an answer, or as a chunk's header."""

STRANGER_BYTES = 8 * 1024 * 1024
"""What the heads of one address that are coming may hold."""

BUFFERS = 2
"""A head is held here, and asyncio's reader has a buffer of the size of what it has read."""

MOST_CHUNKS = 4096
"""Chunks within the 64 KiB that are read at a time: each costs some microseconds."""

PROXY_IDLE_SECONDS = 330
"""How long a trusted proxy's connection is kept: proxies keep theirs for up to 300 s, and one
that is closed as it is used again costs a client its request.
"""

BODY_SECONDS = 30
"""What a body may take beside its size at `min_body_kib`: a phone between two cells."""

_KIB = 1024

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HANDSHAKE = b"\x16\x03"
"""How a connection with TLS begins: a handshake record of SSL 3 or later (RFC 8446 §5.1)."""

_GO_ON = b"HTTP/1.1 100 "
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[ \r\n]")


class Tick(events.Event):
    """It is time to look at the clock."""


class ClientHttp1(Http1Server):
    """The client's side of a connection."""

    def __init__(
        self,
        context: Context,
        clock: Clock,
        server: Server = Server(),
        room: BodyRoom | None = None,
        *,
        trusted: bool = False,
        note_tls: Callable[[], object] = lambda: None,
    ) -> None:
        """`note_tls` is called when the client speaks TLS."""
        super().__init__(context)
        self._clock = clock
        self._note_tls = note_tls
        self._server = server
        self._room = room or BodyRoom()
        self._coming = Held(places_of(address_of(context.client.peername))[0], self._let_go)
        self._idle_seconds = server.head_seconds
        """How long it may be silent: before its first request no longer than within a head."""

        if trusted:
            self._idle_seconds = max(PROXY_IDLE_SECONDS, server.idle_seconds)
        self._since = clock.monotonic()
        self._received = 0
        self._ahead = False
        """Whether a request that was sent ahead will be looked at in a moment."""

        self._head = b""
        """Of an answer whose body follows at once."""

        self.pieces = 0
        """What has gone out here of the answer that is due: its head, and what ends it."""

    @property
    def deadline(self) -> float | None:
        """When it is closed unless more comes before, in seconds on the monotonic clock."""
        if self.conn.state is ConnectionState.CLOSED:
            return None
        if self.state == self.read_headers:
            return self._since + (self._server.head_seconds if self.buf else self._idle_seconds)
        if self.state == self.read_body:
            seconds = self._received / (self._server.min_body_kib * _KIB)
            return self._since + BODY_SECONDS + seconds
        return None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        request = self.stream_id
        yield from self._take_event(event)
        if self.stream_id != request:
            self._rest()

    def _rest(self) -> None:
        """Wait for another request."""
        self._since = self._clock.monotonic()
        self._idle_seconds = max(self._idle_seconds, self._server.idle_seconds)

    def _take_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, Tick):
            yield from self._tick()
        elif isinstance(event, events.Wakeup):
            ahead, self.buf, self._ahead = bytes(self.buf), ReceiveBuffer(), False
            yield from self._take(ahead)
        elif isinstance(event, events.DataReceived):
            yield from self._take(event.data)
        else:
            yield from self._usable(super()._handle_event(event))
            if isinstance(event, events.ConnectionClosed):
                self.leave()

    def _usable(self, work: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        """What is to be done, without requests that have just been refused and without
        mitmproxy's log.

        It logs heads that it can't use, whatever keys they hold; mitmweb shows its log.
        """
        closed = False
        for command in work:
            closed = closed or isinstance(command, commands.CloseConnection)
            refused = (
                closed
                and isinstance(command, ReceiveHttp)
                and isinstance(command.event, RequestHeaders)
            )
            if isinstance(command, commands.SendData) and not command.data.startswith(_GO_ON):
                self.pieces += 1
            if not refused and not isinstance(command, commands.Log):
                yield command

    def _take(self, received: bytes) -> layer.CommandGenerator[None]:
        if self.conn.state is ConnectionState.CLOSED or self._coming.lost:
            return  # what asyncio had read already
        if self._ahead:
            self.buf += received
        else:
            yield from self._parse(received)
        if self.state == self.read_headers and not self._ahead:
            if len(self.buf) > MAX_HEAD:
                yield from self._refuse(431)
        elif len(self.buf) > MAX_PIPELINED:
            yield commands.CloseConnection(self.conn)
        if not self._has_room():
            yield from self._refuse(503)

    def _has_room(self) -> bool:
        """Hold room for what is kept of a head, or of requests that were sent ahead."""
        return self._room.hold(
            self._coming,
            BUFFERS * len(self.buf),
            most=self._server.waiting_bytes,
            most_of_owner=STRANGER_BYTES,
        )

    def leave(self) -> None:
        """Hold nothing any more; a second time does nothing."""
        self._room.leave(self._coming)
        # mitmproxy's layers are cycles: what they keep stays until a collection.
        self._let_go()

    def _let_go(self) -> None:
        self.buf = ReceiveBuffer()

    def _parse(self, received: bytes) -> layer.CommandGenerator[None]:
        if not self.buf and self.state == self.read_headers:
            received = received.lstrip(
                b"\r\n"
            )  # RFC 9112 §2.2: a server should ignore it before a request
            if not received:
                return
            self._since, self._received = self._clock.monotonic(), 0
            if not received[:1].isalpha():  # no method
                if received.startswith(_HANDSHAKE):
                    self._note_tls()
                # In plain text to TLS, too: clients say "wrong version number", as they do to any
                # port without TLS, which people can look up; an alert would look like a faulty TLS.
                yield from self._refuse(400)
                return
        self._received += len(received)
        yield from self._usable(super()._handle_event(events.DataReceived(self.conn, received)))

    def _refuse(self, status: int) -> layer.CommandGenerator[None]:
        yield commands.SendData(self.conn, make_error_response(status))
        yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived) and not event.data:
            # The answer before has just ended, deep inside the upstream's event, whose
            # connection is not ready for the next request; and a thousand requests sent
            # ahead would be as many levels of recursion.
            self._ahead = True
            yield commands.RequestWakeup(0)
        else:
            yield from super().read_headers(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Take all chunks that have come as one: each would pass through all layers."""
        pieces: list[bytes] = []
        for command in super().read_body(event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, RequestData):
                pieces.append(command.event.data)
                if len(pieces) > MOST_CHUNKS:
                    yield from self._give_up_body("too many chunks of a few bytes")
                    return
                continue
            if pieces:
                yield ReceiveHttp(RequestData(self.stream_id, b"".join(pieces)))
                pieces = []
            yield command
        if pieces:
            yield ReceiveHttp(RequestData(self.stream_id, b"".join(pieces)))

    def _give_up_body(self, why: str) -> layer.CommandGenerator[None]:
        yield commands.CloseConnection(self.conn)
        code = ErrorCode.GENERIC_CLIENT_ERROR
        yield ReceiveHttp(RequestProtocolError(self.stream_id, why, code))

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        # The body of an answer to HEAD would be read as the next answer's head.
        ends = isinstance(event, ResponseEndOfMessage)
        bare = self.request is not None and self.request.method == "HEAD"
        if bare and not isinstance(event, ResponseData):
            yield from super().send(event)
        elif not bare:
            yield from self._together(event, super().send(event))
        if ends:
            self.pieces = 0

    def _together(
        self, event: HttpEvent, work: layer.CommandGenerator[None]
    ) -> layer.CommandGenerator[None]:
        """Send a head with the body that follows at once: a system call and a packet less."""
        holds = (
            isinstance(event, ResponseHeaders)
            and not event.end_stream
            and bool(event.response.raw_content)
        )
        for command in work:
            if not isinstance(command, commands.SendData):
                yield command
            elif holds:
                self._head += command.data
            else:
                head, self._head = self._head, b""
                yield commands.SendData(command.connection, head + command.data)

    def owes(self, event: events.Event) -> bool:
        """Whether a request has come, or is coming by this event, that is not answered whole."""
        return self.state != self.read_headers or isinstance(event, events.DataReceived)

    def _tick(self) -> layer.CommandGenerator[None]:
        deadline = self.deadline
        late = deadline is not None and self._clock.monotonic() > deadline
        if late or self._coming.lost:
            yield commands.CloseConnection(self.conn)


class UpstreamHttp1(Http1Client):
    """The upstream's side of a connection."""

    _is_broken = False
    """Whether its request has been told that it failed."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        late = isinstance(event, events.DataReceived) and self.conn.state is ConnectionState.CLOSED
        # mitmproxy tells a failure again when the connection closes: by then the request may be
        # another attempt's, which would be given up for it.
        closed = isinstance(event, events.ConnectionClosed) and self._is_broken
        if not (late or closed):
            yield from self._watched(super()._handle_event(event))

    def _watched(self, work: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        for command in work:
            if isinstance(command, ReceiveHttp):
                self._is_broken |= isinstance(command.event, ResponseProtocolError)
            yield command

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        while self.request and _INTERIM.match(bytes(self.buf)) and self.buf.maybe_extract_lines():
            pass  # 1xx responses precede the final one (RFC 9110 §15.2)
        if isinstance(event, events.DataReceived) and not self.buf:
            return
        if len(self.buf) > MAX_HEAD and b"\r\n\r\n" not in bytes(self.buf)[:MAX_HEAD]:
            yield commands.CloseConnection(self.conn)
            self.buf = ReceiveBuffer()
            event = events.ConnectionClosed(self.conn)
        yield from super().read_headers(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().read_body(event)
        if self.state == self.read_body and len(self.buf) > MAX_HEAD:
            self.buf = ReceiveBuffer()
            yield commands.CloseConnection(self.conn)


class _ChunkedReader(ChunkedReader):
    """Drops trailers: nothing in an LLM exchange is said in them."""

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        found = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(found, h11.EndOfMessage) else found


def make_error_response(status_code: int, message: str = "") -> bytes:
    """A head and body for errors below our own: JSON without the cause, which may tell of
    internals.
    """
    text, code = _ERRORS.get(status_code, _ERRORS[502])
    body = error_body("chat", Problem(status=status_code, message=text, code=code))
    head = (
        f"HTTP/1.1 {status_code} Error\r\ncontent-type: application/json\r\n"
        "x-content-type-options: nosniff\r\nconnection: close\r\n"
    )
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


_ERRORS = {
    400: ("The HTTP request is malformed.", "bad_request"),
    413: ("The request body is too large.", "request_too_large"),
    431: ("The request's headers are too large.", "headers_too_large"),
    503: ("The gateway has no room for more: try again in a moment.", "overloaded"),
    502: ("The service behind the gateway is not reachable.", "bad_gateway"),
}


_read_request_head = http1_heads.read_request_head


def _read_clean_head(lines: list[bytes]) -> Request:
    """mitmproxy's own, which takes control characters around a value for blanks: who reads
    the head before us may see no `chunked` where it does (RFC 9112 §11.2).
    """
    if any(map(_CONTROL.search, lines)):
        raise ValueError("a header holds control characters")
    return _read_request_head(lines)


_read_until_closed = ConnectionHandler.handle_connection


async def _handle_connection(self: ConnectionHandler, connection: Connection) -> None:
    """mitmproxy's own, which forgets the socket and tells nobody when it fails, or is
    cancelled while it waits for its lock.
    """
    try:
        await _read_until_closed(self, connection)
    except BaseException:
        if forgotten := self.transports.pop(connection, None):
            assert forgotten.writer
            forgotten.writer.close()
            connection.state = ConnectionState.CLOSED
            await self.server_event(events.ConnectionClosed(connection))
        raise


def _take_unchecked(message: MessageData) -> None:
    """Believe the types of a message: they come from mitmproxy's parser, or mypy has seen them."""


def install() -> None:
    """Make mitmproxy use these classes, in this process."""
    http1_heads.read_request_head = _read_clean_head
    ConnectionHandler.handle_connection = _handle_connection  # type: ignore[method-assign]
    http_layers.Http1Client = UpstreamHttp1  # type: ignore[attr-defined]
    _http1.ChunkedReader = _ChunkedReader  # type: ignore[attr-defined]
    _http1.make_error_response = make_error_response
    # mitmproxy wakes nobody who waits for it and holds back what comes meanwhile.
    events.Wakeup.reply = None
    # A help for debugging: it compares every field of four messages a request with its
    # annotation, which costs as much as two commits of the database.
    MessageData.__post_init__ = _take_unchecked  # type: ignore[method-assign]
