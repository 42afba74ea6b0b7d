"""The upstream's half of a request to the sidecar: passed on as it is, its response too."""

from mitmproxy import http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
)

from addon.admission.addresses import places_of
from addon.edge.coming import Coming
from addon.edge.convert import address_of, connection_to, no_room, response_of, sidecar_down
from addon.edge.http1 import Tick
from addon.edge.plan import ToSidecar
from addon.edge.stream import CutOff, GatewayStream

__all__ = ("SidecarStream",)

SIDECAR_SECONDS = 5
"""How long a request waits for the sidecar, which starts and restarts within seconds."""

SIDECAR_RETRY_SECONDS = 0.2


class SidecarStream:
    """One request to the sidecar."""

    def __init__(self, client: GatewayStream, plan: ToSidecar) -> None:
        self._client = client
        self._request: http.Request = plan.request
        self._opened_at = client.planner.clock.monotonic()
        self._connected = False
        owner = places_of(address_of(client.context.client.peername))[0]
        client.coming = Coming(client.planner, owner)

    def take(self, event: events.Event) -> CommandGenerator[None]:
        """Do until there is a connection what is ours; mitmproxy passes on what follows."""
        client = self._client
        if isinstance(event, CutOff):
            yield commands.CloseConnection(client.context.client)
        elif isinstance(event, Tick):
            if client.coming.lost and not client.ended:
                yield from client.answer(response_of(no_room()))
        elif self._connected:
            yield from client.pass_on(event)
        elif isinstance(event, RequestProtocolError):
            client.coming.leave()
            yield from client.leave(event.message)
        elif not client.ended:
            yield from self._take_request(event)

    def failed_end(self) -> bytes:
        """None: what the sidecar streams is passed on as it is."""
        return b""

    def _take_request(self, event: events.Event) -> CommandGenerator[None]:
        client = self._client
        match event:
            case RequestHeaders(end_stream=False) if client.flow.request.stream:
                yield from self._stream_body()
            case RequestData():
                if not client.coming.add(event.data):
                    yield from client.answer(response_of(no_room()))
            case RequestEndOfMessage():
                self._opened_at = client.planner.clock.monotonic()
                whole = yield from client.complete()
                client.coming.leave()
                if whole:
                    yield from self._send()
            case events.Wakeup():
                yield from self._send()

    def _stream_body(self) -> CommandGenerator[None]:
        """Send the head now; the body is passed on as it comes."""
        client = self._client
        connection, _ = yield connection_to(self._request)
        if connection is None:
            yield from client.answer(response_of(sidecar_down()))
            return
        self._connected = True
        yield from client.send(self._request, connection, whole=False)
        client.client_state = client.state_stream_request_body

    def _send(self) -> CommandGenerator[None]:
        """Send the whole request, as soon as the sidecar can be reached."""
        client = self._client
        connection, _ = yield connection_to(self._request)
        if (yield from client.check_killed(True)):
            return
        if connection is not None:
            self._connected = True
            yield from client.send(self._request, connection)
        elif client.planner.clock.monotonic() - self._opened_at < SIDECAR_SECONDS:
            yield commands.RequestWakeup(SIDECAR_RETRY_SECONDS)
        else:
            yield from client.answer(response_of(sidecar_down()))
