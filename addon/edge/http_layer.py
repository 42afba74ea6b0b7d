"""The client's side of a connection: mitmproxy's HTTP layer with our streams in it.

Private parts of mitmproxy 12 are used: `tests/addon/edge/test_canary.py` fails when one of them changes.
"""

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpLayer, HTTPMode

from addon.edge.http1 import ClientHttp1, Tick
from addon.edge.llm_stream import GatewayStream
from addon.edge.plan import Planner

__all__ = ("GatewayHttpLayer",)


class GatewayHttpLayer(HttpLayer):
    """mitmproxy's HTTP layer with our streams in it, and a tick each second."""

    def __init__(self, context: Context, planner: Planner) -> None:
        super().__init__(context, HTTPMode.transparent)
        self._planner = planner
        self._ticking: commands.RequestWakeup | None = None
        self.connections[context.client] = ClientHttp1(context.fork(), planner.clock)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup) and event.command is self._ticking:
            for child in [self.connections[self.context.client], *self.streams.values()]:
                yield from self.event_to_child(child, Tick())
        else:
            yield from super()._handle_event(event)
            if not isinstance(event, events.Start):
                return
        self._ticking = commands.RequestWakeup(1)
        yield self._ticking

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = GatewayStream(self.context.fork(), stream_id, self._planner)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        # A connection that failed would answer for its address as long as the client stays connected.
        for connection in [known for known in self.connections if known.error and known is not self.context.client]:
            del self.connections[connection]
        yield from super().get_connection(event, reuse=reuse)
