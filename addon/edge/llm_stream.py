"""The glue that re-sends a live request to the next candidate, below mitmproxy's hooks.

mitmproxy has no hook that sends a flow again. Its HTTP layer is sans-io, so a subclass can:
it never forwards `flow.request`, which is there to be looked at, with keys masked, but what
the flow's `Plan` says; a flow without a plan goes nowhere. Private parts of mitmproxy 12
are used: `tests/addon/edge/test_canary.py` fails when one of them changes.
"""

import logging

from mitmproxy import flow as flows
from mitmproxy import http
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpLayer,
    HttpStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._hooks import (
    HttpErrorHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from addon.admission.problems import too_large
from addon.edge.convert import (
    connect_words,
    fault,
    lowered,
    request_for,
    response_of,
    sidecar_down,
    told,
)
from addon.edge.http1 import Tick
from addon.edge.plan import Plan, Planner
from addon.exchange.answer import StreamedAnswer
from addon.exchange.upstream_request import returned
from addon.exchange.verdict import Again, UpstreamCall, Verdict
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.problem import error_body
from addon.formats.wire.inflate import Unreadable
from addon.formats.wire.sse import KEEP_ALIVE
from shared.config.schema import Timeouts

__all__ = ("GatewayStream",)

KEEP_ALIVE_SECONDS = 10
MAX_REFUSAL = 256 * 1024
"""Bytes of an upstream's error that are read."""

MAX_WHOLE = 64 * 1024 * 1024
"""Bytes of an upstream's answer that is not streamed."""

LINGER_SECONDS = 1
"""What an upstream gets to close its answer after it has announced the end."""

RESERVE_SECONDS = 2
RESERVE_RETRY_SECONDS = 0.01
"""How long a request waits for the database; then only callers without a quota go on."""

SIDECAR_SECONDS = 5
SIDECAR_RETRY_SECONDS = 0.2

_log = logging.getLogger("thinkback.attempts")


class GatewayStream(HttpStream):
    """One client request, sent to one candidate after the other until the client has its answer."""

    def __init__(self, context: Context, stream_id: int, planner: Planner) -> None:
        super().__init__(context, stream_id)
        self._planner = planner
        self._plan: Plan | None = None
        self._upstream: Connection | None = None
        self._answer: StreamedAnswer | None = None
        self._head: http.Response | None = None
        self._body = bytearray()
        self._begun = False
        self._chunked = True
        self._delivered = False
        self._aborting = False
        self._answered = False
        self._reused = False
        self._opened_at = self._sent_at = self._heard_at = self._said_at = planner.clock.monotonic()

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        work = self._guarded(event)
        yield from work if self._planner.watched else self._unheard(work)

    def _guarded(self, event: events.Event) -> layer.CommandGenerator[None]:
        try:
            yield from self._take(event)
        except Exception:
            _log.exception("a request failed inside the gateway")
            yield from self._give_up()

    def _is_over(self, event: events.Event) -> bool:
        """Whether an event belongs to something that has been answered or given up, here or
        in mitmproxy's queue.
        """
        if isinstance(event, RequestData | RequestTrailers | RequestEndOfMessage):
            return self._answered
        heard = isinstance(
            event, ResponseHeaders | ResponseData | ResponseTrailers | ResponseEndOfMessage
        )
        return self._upstream is None and (heard or isinstance(event, ResponseProtocolError))

    def _after_abort(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._aborting and isinstance(event, ResponseEndOfMessage | ResponseProtocolError):
            self._aborting = False
            yield commands.RequestWakeup(0)

    def _take(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, Tick):
            yield from self._tick()
        elif isinstance(event, events.Wakeup):
            yield from self._attempt()
        elif self._is_over(event):
            yield from self._after_abort(event)
        else:
            yield from super()._handle_event(event)

    def _unheard(self, work: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        """Answer the hooks in `work` here and now; pass every other command on."""
        reply = None
        while True:
            try:
                command = work.send(reply)
            except StopIteration:
                return
            if isinstance(command, commands.StartHook):
                self._planner.hear(command)
                reply = None
            else:
                reply = yield command

    # -- the request -------------------------------------------------------------------------------

    def state_wait_for_request_headers(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        yield from super().state_wait_for_request_headers(event)
        self._plan = self._planner.plan_of(self.flow)
        if self.client_state == self.state_errored:
            return
        if self.flow.response is None and self._plan is None:
            self.flow.response = fault()
        if self.flow.response is not None:
            yield from self._answer_early()

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        """Pass the body to the sidecar as it comes."""
        self._plan = self._planner.plan_of(self.flow)
        request = self._plan.sidecar if self._plan else None
        if request is None:
            raise RuntimeError("only requests for the sidecar are streamed")
        connection, error = yield self._connection_for(request)
        if error:
            self.flow.response = response_of(sidecar_down())
            yield from self._answer_early()
            return
        self.context.server = self.flow.server_conn = self._upstream = connection
        yield SendHttp(RequestHeaders(self.stream_id, request, end_stream=False), connection)
        self.client_state = self.state_stream_request_body

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        plan = self._plan
        if isinstance(event, RequestData):
            self.request_body_buf += event.data
            if plan is not None and plan.intake and len(self.request_body_buf) > plan.max_body:
                self.flow.response = response_of(plan.intake.reply(too_large(plan.max_body)))
                yield from self._answer_early()
        elif isinstance(event, RequestEndOfMessage):
            self._opened_at = self._planner.clock.monotonic()
            self.flow.request.raw_content = bytes(self.request_body_buf)
            self.request_body_buf.clear()
            self.client_state = self.state_done
            yield HttpRequestHook(self.flow)
            if (yield from self.check_killed(True)):
                return
            if self.flow.response is not None:
                yield from self.send_response()
            else:
                yield from self._attempt()

    def _answer_early(self) -> layer.CommandGenerator[None]:
        """Answer without waiting for the body; what still comes of it is read and dropped."""
        assert self.flow.response is not None
        self._answered = True
        self.request_body_buf.clear()
        self.client_state = self.state_done
        yield from self.send_response()

    # -- attempts ----------------------------------------------------------------------------------

    def _attempt(self) -> layer.CommandGenerator[None]:
        """Send what is planned; an upstream that can't be reached gives way to the next one."""
        if self.client_state == self.state_errored or (yield from self._held_up()):
            return
        while True:
            request = self._planned_request()
            wanted = self._connection_for(request)
            self._reused = self._is_open(wanted)
            connection, error = yield wanted
            if (yield from self.check_killed(True)):
                return
            if not error:
                break
            if self._sidecar_may_come():
                yield commands.RequestWakeup(SIDECAR_RETRY_SECONDS)
                return
            if not (yield from self._go_on(self._unreachable(error))):
                return
        self.context.server = self.flow.server_conn = self._upstream = connection
        self._sent_at = self._heard_at = self._planner.clock.monotonic()
        self._head, self._answer = None, None
        self._body.clear()
        self.server_state = self.state_wait_for_response_headers
        content = request.raw_content or b""
        yield SendHttp(RequestHeaders(self.stream_id, request, not content), connection)
        if content:
            yield SendHttp(RequestData(self.stream_id, content), connection)
        yield SendHttp(RequestEndOfMessage(self.stream_id), connection)

    def _held_up(self) -> layer.CommandGenerator[bool]:
        """Whether what the request may use is still to be reserved, or was refused."""
        if self._plan is None or self._plan.call is None or self._exchange.reserved:
            return False
        waited = self._planner.clock.monotonic() - self._opened_at
        reply = self._exchange.reserve(give_up=waited >= RESERVE_SECONDS)
        if reply is not None:
            yield from self._go_on(reply)
        elif not self._exchange.reserved:
            yield commands.RequestWakeup(RESERVE_RETRY_SECONDS)
        return not self._exchange.reserved

    def _is_open(self, wanted: GetHttpConnection) -> bool:
        """Whether a connection of an earlier request will be used."""
        parent = self.context.layers[self.context.layers.index(self) - 1]
        assert isinstance(parent, HttpLayer)
        return any(
            wanted.connection_spec_matches(known) and known.connected
            for known in parent.connections
        )

    def _sidecar_may_come(self) -> bool:
        """Whether it is worth waiting for the sidecar, which starts and restarts within seconds."""
        waited = self._planner.clock.monotonic() - self._opened_at
        return (
            self._plan is not None and self._plan.sidecar is not None and waited < SIDECAR_SECONDS
        )

    def _unreachable(self, error: str) -> Verdict:
        if self._plan is None or self._plan.call is None:
            return sidecar_down()
        return self._exchange.unreachable(connect_words(error))

    def _go_on(self, reply: Verdict) -> layer.CommandGenerator[bool]:
        """Whether another attempt follows; else the client is told why not."""
        if isinstance(reply, Again):
            return True
        if self._begun:
            yield from self._say(
                reply.body if reply.status == 200 else self._exchange.failed_end(told(reply))
            )
            yield from self._finish()
        else:
            self.flow.response = response_of(reply)
            yield from self.send_response()
        return False

    def _again(self, reply: Verdict) -> layer.CommandGenerator[None]:
        """Attempt again as soon as the upstream's connection has come to rest, or tell the
        client.
        """
        if (yield from self._go_on(reply)):
            # Sending from inside the event that ends a response would reach a connection
            # that is not ready for it.
            yield commands.RequestWakeup(0)

    def _planned_request(self) -> http.Request:
        assert self._plan is not None
        return self._plan.sidecar or request_for(self._exchange.outgoing)

    def _connection_for(self, request: http.Request) -> GetHttpConnection:
        return GetHttpConnection(
            (request.host, request.port), request.scheme == "https", None, "tcp"
        )

    # -- the answer --------------------------------------------------------------------------------

    def state_wait_for_response_headers(
        self, event: ResponseHeaders
    ) -> layer.CommandGenerator[None]:
        if self._plan is None or self._plan.call is None:
            yield from super().state_wait_for_response_headers(event)
            return
        self._heard_at = self._planner.clock.monotonic()
        self._head = event.response
        status = event.response.status_code
        if not (200 <= status < 300 or 400 <= status < 600):
            # A redirect would take the key elsewhere; other numbers are no final answers
            # (RFC 9110 §15).
            yield from self._fail(
                StreamError(f"The upstream answered {status}: see its base_url.", code="bad_status")
            )
        elif self._exchange.streams and status == 200 and not self._head_says("json"):
            yield from self._start_stream(lowered(event.response.headers))
        else:
            self.server_state = self._state_collect

    def _start_stream(self, headers: dict[str, str]) -> layer.CommandGenerator[None]:
        try:
            self._answer = self._exchange.stream(headers)
        except Unreadable as error:
            yield from self._fail(StreamError(f"{error}.", code="upstream_malformed"))
        else:
            self.server_state = self._state_stream

    def _state_stream(self, event: events.Event) -> layer.CommandGenerator[None]:
        assert self._answer is not None
        if isinstance(event, ResponseData):
            self._heard_at = self._planner.clock.monotonic()
            yield from self._deliver(self._answer.feed(event.data))
        elif isinstance(event, ResponseEndOfMessage):
            self._upstream = None
            yield from self._deliver(self._answer.end())
            if self._answer is not None and self._answer.error is None:
                yield from self._finish()

    def _deliver(self, out: bytes) -> layer.CommandGenerator[None]:
        """Pass events on; the first that are more than comments settle which candidate answers."""
        assert self._answer is not None
        if out:
            if self._answer.started and not self._delivered:
                self._delivered = True
                self._exchange.accepted()
            yield from self._say(out)
        if self._answer.error is not None:
            yield from self._fail(self._answer.error)

    def _state_collect(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Read a refusal or an answer that is not streamed, within bounds."""
        assert self._head is not None
        success = self._head.status_code < 300
        if isinstance(event, ResponseData):
            self._heard_at = self._planner.clock.monotonic()
            self._body += event.data
            if len(self._body) > (MAX_WHOLE if success else MAX_REFUSAL):
                yield from self._fail(
                    StreamError("The upstream's answer is too large.", code="upstream_too_large")
                )
        elif isinstance(event, ResponseEndOfMessage):
            self._upstream = None
            take = self._exchange.whole if success else self._exchange.refused
            yield from self._again(
                take(self._head.status_code, lowered(self._head.headers), bytes(self._body))
            )

    def _fail(self, error: StreamError) -> layer.CommandGenerator[None]:
        """The attempt failed while the upstream was answering."""
        if self._delivered:
            yield from self._abort()
            yield from self._say(self._exchange.failed_end(self._exchange.stream_problem(error)))
            yield from self._finish()
            return
        problem = self._exchange.stream_problem(error)
        api = self._exchange.candidate.upstream.api
        reply = self._exchange.refused(
            error.status, {"content-type": "application/json"}, error_body(api, problem)
        )
        if isinstance(reply, Again) and self._upstream is not None:
            # The next attempt follows when the connection's end has been reported, lest
            # that be taken for its own.
            yield from self._abort()
            self._aborting = True
        else:
            yield from self._abort()
            yield from self._again(reply)

    def _say(self, out: bytes) -> layer.CommandGenerator[None]:
        """Send bytes of a streamed answer, after its head."""
        yield from self._begin()
        self._said_at = self._planner.clock.monotonic()
        if self.context.options.store_streamed_bodies:
            self.response_body_buf += out
        # Straight to the socket, framed here: the way through Http1Server would look the
        # framing up for each event.
        framed = b"%x\r\n%b\r\n" % (len(out), out) if self._chunked else out
        yield commands.SendData(self.context.client, framed)

    def _begin(self) -> layer.CommandGenerator[None]:
        if self._begun:
            return
        self._begun = True
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        headers |= {"x-accel-buffering": "no", "access-control-allow-origin": "*"}
        if self._head is not None:
            headers = returned(lowered(self._head.headers)) | headers
        # HTTP/1.0 clients (older nginx among them) read until the connection closes.
        self._chunked = self.flow.request.http_version != "HTTP/1.0"
        headers |= {"transfer-encoding": "chunked"} if self._chunked else {"connection": "close"}
        self.flow.response = http.Response.make(200, b"", headers)
        self.flow.response.headers.pop("content-length", None)
        yield HttpResponseHeadersHook(self.flow)
        yield SendHttp(
            ResponseHeaders(self.stream_id, self.flow.response, end_stream=False),
            self.context.client,
        )

    def _finish(self) -> layer.CommandGenerator[None]:
        """The streamed answer is at its end."""
        assert self.flow.response is not None
        if self._answer is not None:
            self._answer.stop()
        if self.context.options.store_streamed_bodies:
            self.flow.response.data.content = bytes(self.response_body_buf)
        self.server_state = self.state_done
        yield HttpResponseHook(self.flow)
        if (yield from self.check_killed(False)):
            return
        self.flow.live = False
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    # -- time and trouble --------------------------------------------------------------------------

    def _tick(self) -> layer.CommandGenerator[None]:
        if self._plan is None or self._plan.call is None or self._upstream is None:
            return
        now = self._planner.clock.monotonic()
        if self._answer is not None and self._answer.done:
            if now - self._heard_at >= LINGER_SECONDS:
                yield from self._abort()
                yield from self._finish()
        elif late := self._late(now, self._exchange.candidate.upstream.timeouts):
            yield from self._fail(StreamError(f"The upstream {late}.", 504, "upstream_timeout"))
        elif self._exchange.streams and self._silent(now):
            yield from self._say(
                self._answer.keep_alive if self._answer is not None else KEEP_ALIVE
            )

    def _silent(self, now: float) -> bool:
        waiting = self.server_state in (self.state_wait_for_response_headers, self._state_stream)
        return waiting and now - self._said_at >= KEEP_ALIVE_SECONDS

    def _late(self, now: float, timeouts: Timeouts) -> str:
        """Which deadline has passed, in words."""
        if timeouts.total and now - self._opened_at > timeouts.total:
            return f"took longer than {timeouts.total:g} s in all"
        if self._head is None and timeouts.first_byte and now - self._sent_at > timeouts.first_byte:
            return f"did not answer within {timeouts.first_byte:g} s"
        if self._head is not None and timeouts.idle and now - self._heard_at > timeouts.idle:
            return f"sent nothing for {timeouts.idle:g} s"
        return ""

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        if self._plan is None or self._plan.intake is None:
            yield from super().handle_protocol_error(event)
        elif isinstance(event, RequestProtocolError):
            yield from self._client_left(event.message)
        else:
            self._upstream = None
            yield from self._broken_off()

    def _broken_off(self) -> layer.CommandGenerator[None]:
        """The upstream's connection ended in the middle of an answer or before it."""
        if self._answer is not None and self._delivered:
            yield from self._deliver(self._answer.end())
            if self._answer.error is None:
                yield from self._finish()
        elif self._reused and self._head is None:
            # An idle connection was closed just as it was used again: that says nothing of
            # the upstream.
            yield from self._again(Again())
        else:
            yield from self._again(self._exchange.unreachable("it closed the connection"))

    def _client_left(self, why: str) -> layer.CommandGenerator[None]:
        settled = self.server_state in (self.state_done, self.state_errored)
        yield from self._abort()
        if self._answer is not None:
            self._answer.stop()
        self.client_state = self.server_state = self.state_errored
        if not settled:
            self.flow.error = flows.Error(why)
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)

    def _abort(self) -> layer.CommandGenerator[None]:
        """Close the upstream's connection, so that it stops generating."""
        if self._upstream is not None:
            upstream, self._upstream = self._upstream, None
            yield SendHttp(
                RequestProtocolError(self.stream_id, "cancelled", ErrorCode.CANCEL), upstream
            )

    def _give_up(self) -> layer.CommandGenerator[None]:
        """A fault of ours: the client gets an error or a broken stream, never silence."""
        if self.server_state in (self.state_done, self.state_errored):
            return
        self.client_state = self.server_state = self.state_errored
        yield from self._abort()
        if hasattr(self, "flow"):
            self.flow.error = flows.Error("fault inside the gateway")
            yield HttpErrorHook(self.flow)
        if self._begun:
            yield commands.CloseConnection(self.context.client)
        else:
            broken = ResponseProtocolError(self.stream_id, "fault", ErrorCode.GENERIC_SERVER_ERROR)
            yield SendHttp(broken, self.context.client)
        yield DropStream(self.stream_id)

    @property
    def _exchange(self) -> UpstreamCall:
        assert self._plan is not None
        assert self._plan.call is not None
        return self._plan.call

    def _head_says(self, media_type: str) -> bool:
        return self._head is not None and media_type in self._head.headers.get("content-type", "")
