"""The client's half of a request: its head, what the client is sent, and its end.

mitmproxy has no hook that sends a flow again. Its HTTP layer is sans-io, so a subclass can:
it never forwards `flow.request`, which is there to be looked at, with keys masked, but what
the flow's `Plan` says; a flow without a plan goes nowhere. mitmproxy makes the stream before
the head is known, so the half that asks an upstream is chosen later. Private parts of
mitmproxy 12 are used: `tests/addon/edge/test_canary.py` fails when one of them changes.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from mitmproxy import flow as flows
from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import DropStream, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseEndOfMessage,
    ResponseHeaders,
)
from mitmproxy.proxy.layers.http._hooks import (
    HttpErrorHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from addon.edge.coming import Coming
from addon.edge.convert import EVERY_ANSWER, fault
from addon.edge.fast_lane import GoOn
from addon.edge.plan import FAULT, Plan, Planner
from addon.edge.upstream_pool import OpenUpstreamHook
from addon.edge.upstream_socket import UpstreamSocket
from addon.edge.waiting import WaitForStoreHook
from addon.exchange.upstream_request import returned

__all__ = ("CutOff", "GatewayStream", "UpstreamHalf", "behind", "waits")

_STREAMED = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    # nginx would hold events back until its buffer is full.
    "x-accel-buffering": "no",
    **EVERY_ANSWER,
}


_WAITED_FOR = (OpenUpstreamHook, WaitForStoreHook)
"""The hooks that take their time."""


class CutOff(events.Event):
    """The gateway ends, and waits for the answer no longer."""


class UpstreamHalf(Protocol):
    """Gets a request's answer from an upstream."""

    def take(self, event: events.Event) -> CommandGenerator[None]:
        """Take an event of the request, from its head on."""

    def failed_end(self) -> bytes:
        """The end, after a fault of ours, of a streamed answer that has begun."""


class GatewayStream(HttpStream):
    """One client request and its one end: an answer, or a connection that closes."""

    def __init__(
        self,
        context: Context,
        stream_id: int,
        planner: Planner,
        half_for: "Callable[[GatewayStream, Plan], UpstreamHalf]",
    ) -> None:
        super().__init__(context, stream_id)
        self.planner = planner
        self._half_for = half_for
        self._half: UpstreamHalf | None = None
        self._chunked = True
        self._is_kept = bool(context.options.store_streamed_bodies)
        """Whether a streamed answer is to be looked at; mitmproxy copies an option whenever it is
        asked for.
        """

        self.coming: Coming
        """The body of the request, once it is planned where it goes."""

        self.begun = False
        """Whether a streamed answer has begun."""

        self.sent_at = self.planner.clock.monotonic()
        """When the client was last sent something, or the request began."""

        self.upstream: Server | UpstreamSocket | None = None
        """The connection on which an answer is awaited or coming."""

    @property
    def ended(self) -> bool:
        """Whether the client has its answer, or can't get one any more."""
        return self.server_state in (self.state_done, self.state_errored)

    @property
    def broken(self) -> bool:
        """Whether the client left, or was left without an answer."""
        return bool(self.client_state == self.state_errored)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        return self._heard(self._let_go_at_the_end(event))

    def _let_go_at_the_end(self, event: events.Event) -> CommandGenerator[None]:
        """Take an event; the hook that ends a flow may have failed when it has ended."""
        if isinstance(event, GoOn):
            yield from event.commands()
        else:
            take = self._take_unplanned if self._half is None else self._half.take
            yield from take(event)
        if self.ended:
            self.planner.let_go(self.flow)

    def _heard(self, work: CommandGenerator[None]) -> CommandGenerator[None]:
        return work if self.planner.watched else _heard_by(self.planner, work)

    def _take_unplanned(self, event: events.Event) -> CommandGenerator[None]:
        """Take what comes before the plan, or after a head that was answered at once."""
        if isinstance(event, events.Start | RequestHeaders):
            yield from self.pass_on(event)
        elif isinstance(event, RequestProtocolError):
            yield from self.leave(event.message)

    def pass_on(self, event: events.Event) -> CommandGenerator[None]:
        """Do with an event what mitmproxy does."""
        yield from super()._handle_event(event)

    # -- the request -------------------------------------------------------------------------------

    def state_wait_for_request_headers(self, event: RequestHeaders) -> CommandGenerator[None]:
        yield from super().state_wait_for_request_headers(event)
        if self.broken:
            return
        plan = self.planner.plan_of(self.flow)
        if self.flow.response is not None:
            yield from self.answer(self.flow.response)
        elif plan is None:
            yield from self.answer(fault(self.flow.request.path))
        else:
            self._half = self._half_for(self, plan)
            yield from self._half.take(event)

    def start_request_stream(self) -> CommandGenerator[None]:
        # mitmproxy would connect to its own target; the half that is chosen next passes the
        # body on.
        yield from ()

    def complete(self) -> CommandGenerator[bool]:
        """End the request's body; whether an upstream is to be asked."""
        self.flow.request.raw_content = self.coming.take()
        self.client_state = self.state_done
        yield HttpRequestHook(self.flow)
        if (yield from self.check_killed(True)):
            return False
        if self.flow.response is None:
            return True
        yield from self.send_response()
        return False

    def send(
        self, request: http.Request, connection: Server, *, whole: bool = True
    ) -> CommandGenerator[None]:
        """Send a request to an upstream; the body of one that is not `whole` is to follow."""
        self.context.server = self.flow.server_conn = self.upstream = connection
        content = request.raw_content or b""
        ends = whole and not content
        yield SendHttp(RequestHeaders(self.stream_id, request, ends), connection)
        if content:
            yield SendHttp(RequestData(self.stream_id, content), connection)
        if whole:
            yield SendHttp(RequestEndOfMessage(self.stream_id), connection)

    # -- the answer --------------------------------------------------------------------------------

    def answer(self, response: http.Response) -> CommandGenerator[None]:
        """Answer at once; what still comes of the body is dropped."""
        self.flow.response = response
        self.request_body_buf.clear()
        self.client_state = self.state_done
        yield from self.send_response()

    def say(self, out: bytes, upstream_headers: Mapping[str, str] = {}) -> CommandGenerator[None]:
        """Send bytes of a streamed answer; its head comes before the first."""
        if not self.begun:
            yield from self._begin(returned(upstream_headers))
        self.sent_at = self.planner.clock.monotonic()
        if self._is_kept:
            self.response_body_buf += out
        if self._chunked:
            out = b"%x\r\n%b\r\n" % (len(out), out)
        # Straight to the socket, framed here: the way through Http1Server would look the
        # framing up for each event.
        yield commands.SendData(self.context.client, out)

    def _begin(self, headers: dict[str, str]) -> CommandGenerator[None]:
        self.begun = True
        # HTTP/1.0 clients (older nginx among them) read until the connection closes.
        self._chunked = self.flow.request.http_version != "HTTP/1.0"
        framing = {"transfer-encoding": "chunked"} if self._chunked else {"connection": "close"}
        response = http.Response.make(200, b"", headers | _STREAMED | framing)
        response.headers.pop("content-length", None)
        self.flow.response = response
        yield HttpResponseHeadersHook(self.flow)
        yield SendHttp(
            ResponseHeaders(self.stream_id, response, end_stream=False), self.context.client
        )

    def finish(self) -> CommandGenerator[None]:
        """End a streamed answer."""
        if self.flow.response is not None and self._is_kept:
            self.flow.response.data.content = bytes(self.response_body_buf)
        self.server_state = self.state_done
        yield HttpResponseHook(self.flow)
        if (yield from self.check_killed(False)):
            return
        self.flow.live = False
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    # -- trouble -----------------------------------------------------------------------------------

    def abort(self) -> CommandGenerator[None]:
        """Close the upstream's connection, so that it stops generating."""
        upstream, self.upstream = self.upstream, None
        if isinstance(upstream, UpstreamSocket):
            upstream.abort()
        elif upstream is not None:
            cancelled = RequestProtocolError(self.stream_id, "cancelled", ErrorCode.CANCEL)
            yield SendHttp(cancelled, upstream)

    def leave(self, why: str) -> CommandGenerator[None]:
        """End the request of a client that has left."""
        settled = self.ended
        yield from self.abort()
        self.client_state = self.server_state = self.state_errored
        if not settled:
            self.flow.error = flows.Error(why)
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)

    def failed_end(self) -> bytes:
        """The end, after a fault of ours, of a streamed answer that has begun; empty when none
        has, or none can be made.
        """
        if not self.begun or self._half is None:
            return b""
        end = self._half.failed_end()
        return b"%x\r\n%b\r\n0\r\n\r\n" % (len(end), end) if self._chunked else end

    def break_off(self) -> CommandGenerator[None]:
        """End after a fault of ours: whoever listens hears of it, and the books are closed."""
        ended, self.client_state = self.ended, self.state_errored
        self.server_state = self.state_errored
        if not hasattr(self, "flow"):
            return
        if self._half is not None:
            self.coming.leave()
        if isinstance(self.upstream, UpstreamSocket):
            self.upstream.abort()
        if not ended:
            self.flow.error = flows.Error(FAULT)
            yield from self._heard(_alone(HttpErrorHook(self.flow)))
        self.flow.live = False
        self.planner.let_go(self.flow)


def behind(stream: GatewayStream) -> int:
    """How many events wait while one before them is worked on."""
    return len(stream._paused_event_queue)


def waits(stream: GatewayStream) -> bool:
    """Whether an event has to wait until one before it is worked on."""
    return stream._paused is not None or bool(stream._paused_event_queue)


def _alone(command: commands.Command) -> CommandGenerator[None]:
    yield command


def _heard_by(planner: Planner, work: CommandGenerator[None]) -> CommandGenerator[None]:
    """Answer the hooks in `work` here and now; pass every other command on."""
    reply = None
    while True:
        try:
            command = work.send(reply)
        except StopIteration:
            return
        if isinstance(command, commands.StartHook) and not isinstance(command, _WAITED_FOR):
            awaited = planner.hear(command)
            reply = None
            if awaited is not None:
                yield WaitForStoreHook(awaited)
        else:
            reply = yield command
