"""The client's side of a connection: mitmproxy's HTTP layer with our streams in it.

Private parts of mitmproxy 12 are used: `tests/addon/edge/test_canary.py` fails when one of
them changes.
"""

import logging
import math

from mitmproxy.net.http.http1 import assemble_response
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpLayer, HTTPMode

from addon.admission.client import is_trusted
from addon.edge.convert import address_of, fault
from addon.edge.fast_lane import Failed, FromUpstream
from addon.edge.http1 import ClientHttp1, Tick
from addon.edge.llm_phases import TABLE
from addon.edge.llm_stream import LlmStream
from addon.edge.plan import LlmCall, Plan, Planner, ToSidecar
from addon.edge.sidecar_stream import SidecarStream
from addon.edge.stream import CutOff, GatewayStream, UpstreamHalf

__all__ = ("GatewayHttpLayer",)

SLACK_SECONDS = 0.01
"""How long after a client's time is up that is noticed: then it is over, not just so."""

STREAM_SECONDS = 1
"""How often the deadlines of requests that are under way are looked at."""

_log = logging.getLogger("thinkback.stream")


class GatewayHttpLayer(HttpLayer):
    """mitmproxy's HTTP layer with our streams in it, and ticks: each second while a request
    is under way, else when the client's time is up.

    mitmproxy logs what an event raises, and leaves its client waiting. Here that ends the
    connection: its client is told, upstreams are closed, the books too.
    """

    def __init__(self, context: Context, planner: Planner) -> None:
        super().__init__(context, HTTPMode.transparent)
        self._planner = planner
        self._alarms: dict[commands.Command, float] = {}
        """The wake-ups that were asked for, with their times: they can't be taken back."""

        self._next_alarm = math.inf
        server, address = planner.server, address_of(context.client.peername)
        self._client = ClientHttp1(
            context.fork(),
            planner.clock,
            server,
            planner.room,
            trusted=is_trusted(address, server.trusted_proxies),
            note_tls=lambda: planner.note_tls(address),
        )
        self.connections[context.client] = self._client
        self._stream: GatewayStream | None = None
        """The latest request's."""

        self._broken = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._broken:
            return
        try:
            yield from self._take(event)
        except Exception:
            yield from self.break_off(event)

    def break_off(self, event: events.Event) -> layer.CommandGenerator[None]:
        """End the connection after the fault of ours that an event has just met."""
        _log.exception("a request failed inside the gateway")
        self._broken = True
        self._client.leave()
        if self._stream is not None:
            yield from self._stream.break_off()
        if self.context.client.connected and (words := self._last_words(event)):
            yield commands.SendData(self.context.client, words)
        self.streams.clear()
        for connection in self.connections:
            if connection.connected:
                yield commands.CloseConnection(connection)

    def _last_words(self, event: events.Event) -> bytes:
        """What the client is still to be told; nothing when that fails, too."""
        try:
            return self._owed(event)
        except Exception:
            _log.exception("a client is not told that its request failed")
            return b""

    def _owed(self, event: events.Event) -> bytes:
        client, stream = self._client, self._stream
        if not client.owes(event):
            return b""
        if client.pieces == 0:
            path = client.request.path if client.request else ""
            return bytes(assemble_response(fault(path)))
        if client.pieces == 1 and stream is not None:
            return stream.failed_end()
        return b""

    def _take(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, CutOff):
            for stream in list(self.streams.values()):
                yield from self.event_to_child(stream, event)
            return
        if isinstance(event, FromUpstream):
            yield from self._take_response(event)
        elif isinstance(event, events.Wakeup) and event.command in self._alarms:
            del self._alarms[event.command]
            self._next_alarm = min(self._alarms.values(), default=math.inf)
            for child in [self._client, *self.streams.values()]:
                yield from self.event_to_child(child, Tick())
        else:
            yield from super()._handle_event(event)
        if not (self.streams or self._client.pieces):
            self._stream = None  # its bodies would stay as long as the client is connected
        yield from self._set_alarm()

    def _take_response(self, event: FromUpstream) -> layer.CommandGenerator[None]:
        for part in event.parts:
            if isinstance(part, Failed):
                raise part.error
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                yield from self.event_to_child(stream, part)

    def _set_alarm(self) -> layer.CommandGenerator[None]:
        """See to it that what is due is noticed, with no more wake-ups than that takes."""
        now = self._planner.clock.monotonic()
        seconds: float = STREAM_SECONDS
        if not self.streams:
            deadline = self._client.deadline
            if deadline is None:
                return
            seconds = max(0, deadline - now) + SLACK_SECONDS
        if now + seconds < self._next_alarm:
            alarm = commands.RequestWakeup(seconds)
            self._alarms[alarm] = self._next_alarm = now + seconds
            yield alarm

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self._stream = GatewayStream(self.context.fork(), stream_id, self._planner, half_for)
        self.streams[stream_id] = self._stream
        yield from self.event_to_child(self._stream, events.Start())

    def get_connection(
        self, event: GetHttpConnection, *, reuse: bool = True
    ) -> layer.CommandGenerator[None]:
        # A connection that failed would answer for its address as long as the client stays
        # connected.
        for connection in [
            known for known in self.connections if known.error and known is not self.context.client
        ]:
            del self.connections[connection]
        yield from super().get_connection(event, reuse=reuse)


def half_for(client: GatewayStream, plan: Plan) -> UpstreamHalf:
    """The half of a stream that asks the upstream of its plan."""
    match plan:
        case LlmCall():
            return LlmStream(client, plan, TABLE)
        case ToSidecar():
            return SidecarStream(client, plan)
