"""HTTP/1 towards clients and upstreams, with the bounds that mitmproxy leaves to us.

mitmproxy has no limit on header size, on pipelined bytes or on slow clients, takes a 1xx for the final response and
crashes on trailers (its SECURITY.md counts denial of service as ordinary bugs). These subclasses use private parts of
mitmproxy 12: `tests/addon/test_http1.py` fails when one of them changes.
"""

import re

import h11
from h11._readers import ChunkedReader
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server

from addon.formats.errors import Problem, error_body
from shared.clock import Clock

__all__ = ("ClientHttp1", "Tick", "UpstreamHttp1", "install")

MAX_HEAD = 64 * 1024
"""Bytes of a request or response head."""

MAX_PIPELINED = 64 * 1024
"""Bytes a client may send ahead while it waits for an answer."""

HEAD_SECONDS = 10
IDLE_SECONDS = 330
BODY_SECONDS = 30
BODY_BYTES_PER_SECOND = 16 * 1024
"""A body may take BODY_SECONDS plus its size at this pace."""

_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[ \r\n]")


class Tick(events.Event):
    """A second has passed."""


class ClientHttp1(Http1Server):
    """The client's side of a connection."""

    def __init__(self, context: Context, clock: Clock) -> None:
        super().__init__(context)
        self._clock = clock
        self._since = clock.monotonic()
        self._received = 0

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, Tick):
            yield from self._tick()
            return
        for command in self._take(event) if isinstance(event, events.DataReceived) else super()._handle_event(event):
            # mitmproxy logs heads that it can't use, whatever keys they hold; mitmweb shows its log.
            if not isinstance(command, commands.Log):
                yield command

    def _take(self, event: events.DataReceived) -> layer.CommandGenerator[None]:
        before = self.state
        if not self.buf and before == self.read_headers:
            self._since, self._received = self._clock.monotonic(), 0
        self._received += len(event.data)
        yield from super()._handle_event(event)
        if self.state == self.read_headers and len(self.buf) > MAX_HEAD:
            yield commands.SendData(self.conn, make_error_response(431))
            yield commands.CloseConnection(self.conn)
        elif self.state == self.wait and len(self.buf) > MAX_PIPELINED:
            yield commands.CloseConnection(self.conn)

    def _tick(self) -> layer.CommandGenerator[None]:
        waited = self._clock.monotonic() - self._since
        if self.state == self.read_headers:
            late = waited > (HEAD_SECONDS if self.buf else IDLE_SECONDS)
        elif self.state == self.read_body:
            late = waited > BODY_SECONDS + self._received / BODY_BYTES_PER_SECOND
        else:
            self._since = self._clock.monotonic()
            late = False
        if late:
            yield commands.CloseConnection(self.conn)


class UpstreamHttp1(Http1Client):
    """The upstream's side of a connection."""

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        while self.request and _INTERIM.match(bytes(self.buf)) and self.buf.maybe_extract_lines():
            pass  # 1xx responses precede the final one (RFC 9110 §15.2)
        if isinstance(event, events.DataReceived) and not self.buf:
            return
        if len(self.buf) > MAX_HEAD and b"\r\n\r\n" not in bytes(self.buf)[:MAX_HEAD]:
            yield commands.CloseConnection(self.conn)
            self.buf = h11._receivebuffer.ReceiveBuffer()
            event = events.ConnectionClosed(self.conn)
        yield from super().read_headers(event)


class _ChunkedReader(ChunkedReader):
    """Drops trailers: nothing in an LLM exchange is said in them."""

    def __call__(self, buf: h11._receivebuffer.ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        found = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(found, h11.EndOfMessage) else found


def make_error_response(status_code: int, message: str = "") -> bytes:
    """A head and body for errors below our own: JSON without the cause, which may tell of internals."""
    text, code = _ERRORS.get(status_code, _ERRORS[502])
    body = error_body("chat", Problem(status=status_code, message=text, code=code))
    head = f"HTTP/1.1 {status_code} Error\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


_ERRORS = {
    400: ("The HTTP request is malformed.", "bad_request"),
    413: ("The request body is too large.", "request_too_large"),
    431: ("The request's headers are too large.", "headers_too_large"),
    502: ("The service behind the gateway is not reachable.", "bad_gateway"),
}


def install() -> None:
    """Make mitmproxy's HTTP layers use these classes, in this process."""
    http_layers.Http1Client = UpstreamHttp1  # type: ignore[attr-defined]
    _http1.ChunkedReader = _ChunkedReader  # type: ignore[attr-defined]
    _http1.make_error_response = make_error_response
