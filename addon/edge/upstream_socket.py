"""One HTTP/1.1 connection to an upstream, on which one request after the other is made, whoever
makes it.
"""

import asyncio
import re
import select
import socket
import struct
import sys
from typing import NamedTuple, Protocol, cast

from mitmproxy import http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.net.http import http1

from addon.edge.framing import Framing, Malformed, UnboundedBody, body_of
from addon.edge.http1 import MAX_HEAD

__all__ = ("Destination", "Keeper", "Receiver", "UpstreamSocket")

READ_BYTES = 64 * 1024
"""What is read at a time: the deltas in it are worked on in one go."""

_BUFFER = memoryview(bytearray(READ_BYTES))
"""For all connections: what is read is taken out before anything else is. asyncio's TLS reads into
slices, which a bytearray would copy.
"""

_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""An upstream that has vanished is noticed within half a minute, before the next request is."""

_TCP_INFO_ACKED = 120
"""Where `tcpi_bytes_acked` stands in Linux's `struct tcp_info` (include/uapi/linux/tcp.h)."""

_LOOKED_FOR = select.POLLIN | getattr(select, "POLLRDHUP", 0)

_POST = http.Request.make("POST", "http://upstream/")
"""What a response's framing depends on of its request is the method alone (RFC 9112 §6.3)."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
"""The end of a head, with the line ends that RFC 9112 §2.2 lets a recipient take."""


class Destination(NamedTuple):
    """Where connections lead that can stand in for each other."""

    host: str
    port: int
    tls: bool


class Receiver(Protocol):
    """Gets the response to a request."""

    def receive(self, head: http.Response | None, data: bytes, *, ended: bool) -> None:
        """Take its head, if that is new, and what has come of its body."""

    def lose(self, why: str) -> None:
        """The connection has ended before the response, or the response is none."""

    def release(self) -> None:
        """There will be nothing more, however it ended; called before the last of it."""


class Keeper(Protocol):
    """Keeps connections between two requests."""

    def keep(self, idle: "UpstreamSocket") -> None:
        """Another request may follow."""

    def forget(self, closed: "UpstreamSocket") -> None:
        """None may follow."""


class UpstreamSocket(asyncio.BufferedProtocol):
    """One connection; idle unless it has a receiver."""

    def __init__(self, destination: Destination, keeper: Keeper, *, is_vetted: bool) -> None:
        self.destination = destination
        self.is_vetted = is_vetted
        """Whether it leads to a public address, for sure."""

        self._keeper = keeper
        self.server = Server(address=(destination.host, destination.port))
        """The connection as mitmproxy shows it beside a flow."""

        self.requests = 0
        self._transport: asyncio.Transport
        self._receiver: Receiver | None = None
        self._closes = False
        """Whether this request is the last one."""

        self._head = bytearray()
        self._body: Framing | None = None
        """None until the head of the response has come."""

        self._acked = 0
        """Bytes that the upstream had acknowledged before the request."""

    # -- for those who ask -------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether a request can be made: it is not closed, as far as this machine knows."""
        if self._receiver is not None or self._transport.is_closing():
            return False
        # What the loop has not looked at yet.
        looking = select.poll()
        looking.register(self._transport.get_extra_info("socket").fileno(), _LOOKED_FOR)
        signs = looking.poll(0)
        if not signs:
            return True
        # The peer's TLS may say something by itself, like a ticket for the next session.
        return self.destination.tls and signs[0][1] == select.POLLIN

    @property
    def untouched(self) -> bool:
        """Whether it is sure that the upstream has taken no byte of the request."""
        return self.requests > 1 and _acked(self._transport) == self._acked > 0

    def send(self, head: bytes, body: bytes, receiver: Receiver) -> None:
        """Make a POST request; only while `is_open`."""
        self._receiver = receiver
        self._body = None
        self.requests += 1
        self._acked = _acked(self._transport)
        self._transport.writelines([head, body])

    def abort(self) -> None:
        """Close at once, so that the upstream stops generating."""
        self._let_go()
        self._transport.abort()

    def close(self) -> None:
        """Close one that is idle."""
        self._transport.close()

    def pause(self) -> None:
        """Read nothing more for now."""
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    # -- asyncio's ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Another loop's transports derive from none of asyncio's.
        self._transport = transport = cast(asyncio.Transport, transport)
        self.server.state = ConnectionState.OPEN
        self.server.peername = transport.get_extra_info("peername")
        self.server.sockname = transport.get_extra_info("sockname")
        if self.destination.tls:
            _note_tls(self.server, transport)
            self.server.sni = self.destination.host
        _keep_alive(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self._take(bytes(_BUFFER[:nbytes]))

    def eof_received(self) -> None:
        self._end("the connection was closed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.state = ConnectionState.CLOSED
        self._end(str(exc or "the connection was closed"))
        self._keeper.forget(self)

    # -- what comes --------------------------------------------------------------------------------

    def _take(self, received: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            self._transport.abort()  # nobody has asked
            return
        head = None
        try:
            if self._body is None:
                head, received = self._take_head(received)
                if self._body is None:
                    return
            data = self._body.feed(received)
        except (Malformed, ValueError) as error:
            self._lose(str(error))
            return
        if self._body.ended:
            self._finish(self._body)
        if head is not None or data or self._body.ended:
            receiver.receive(head, data, ended=self._body.ended)

    def _take_head(self, received: bytes) -> tuple[http.Response | None, bytes]:
        """The head of the final response, when it is there, and what follows it.

        Raises ValueError.
        """
        self._head += received
        while True:
            end = _BLANK_LINE.search(self._head, 0, MAX_HEAD)
            if end is None:
                if len(self._head) > MAX_HEAD:
                    raise Malformed("the head of the response is too long")
                return None, b""
            lines = bytes(self._head[: end.start()]).split(b"\n")
            del self._head[: end.end()]
            response = http1.read_response_head([line.removesuffix(b"\r") for line in lines])
            # Interim responses precede the final one (RFC 9110 §15.2).
            if not 100 <= response.status_code < 200 or response.status_code == 101:
                break
        rest, self._head = bytes(self._head), bytearray()
        self._body = body_of(http1.expected_http_body_size(_POST, response))
        self._closes = (
            isinstance(self._body, UnboundedBody)
            or response.status_code < 200
            or http1.connection_close(response.http_version, response.headers)
        )
        return response, rest

    def _finish(self, body: Framing) -> None:
        """The response is there: go on to the next request, or close."""
        self._let_go()
        if self._keeps(body):
            self._keeper.keep(self)
        else:
            self._transport.abort()

    def _keeps(self, body: Framing) -> bool:
        """Whether nothing stands in the way of another request: the upstream has had all of this
        one and said all of its response, and no more.
        """
        is_closing = self._closes or self._transport.is_closing()
        return not (is_closing or body.rest or self._transport.get_write_buffer_size())

    def _end(self, why: str) -> None:
        """The upstream closes the connection."""
        receiver, body = self._receiver, self._body
        if receiver is None:
            return
        try:
            if body is None:
                raise Malformed(why)
            body.close()
        except Malformed as error:
            self._lose(str(error))
        else:
            self._let_go()
            receiver.receive(None, b"", ended=True)

    def _lose(self, why: str) -> None:
        receiver = self._receiver
        self._let_go()
        if receiver is not None:
            receiver.lose(why)
        self._transport.abort()

    def _let_go(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.release()
            self._transport.resume_reading()


def _acked(transport: asyncio.Transport) -> int:
    """Bytes that the upstream has acknowledged; 0 where that can't be known."""
    if sys.platform != "linux":
        return 0
    sock = transport.get_extra_info("socket")
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_ACKED + 8)
    except OSError:
        return 0
    if len(info) < _TCP_INFO_ACKED + 8:
        return 0
    return int(struct.unpack_from("=Q", info, _TCP_INFO_ACKED)[0])


def _note_tls(server: Server, transport: asyncio.Transport) -> None:
    tls = transport.get_extra_info("ssl_object")
    server.tls = True
    server.tls_version = tls.version()
    server.cipher = (tls.cipher() or ("",))[0]


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in _KEEPALIVE:
        if option := getattr(socket, name, None):
            sock.setsockopt(socket.IPPROTO_TCP, option, seconds)
