"""The way of a response from the upstream's socket to the client's, past mitmproxy's layers where
those have nothing to do.

Heads and ends, and whatever needs a hook or a wait, go through the layers as mitmproxy's own
events do. A delta of a stream only becomes bytes for the client: the same steps are taken right
here, and what they ask for beside sending is handed over to the layers together with the rest
of the work.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from mitmproxy import ctx, http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from addon.edge.accept_filter import AcceptFilter
from addon.edge.upstream_socket import UpstreamSocket

__all__ = ("Failed", "FastLane", "FromUpstream", "GoOn", "LaneStream", "fast_lane")

type Deliver = Callable[[events.Event], Coroutine[Any, Any, None]]
"""Gives an event to the layers of a client's connection."""


class FromUpstream(events.Event):
    """Some of a response, for one stream."""

    def __init__(self, stream_id: int, *parts: events.Event) -> None:
        self.stream_id = stream_id
        self.parts = parts


class GoOn(events.Event):
    """Work on a response that was begun outside of the layers, and what it asks for now."""

    def __init__(self, command: commands.Command, work: CommandGenerator[None]) -> None:
        self._command = command
        self._work = work

    def commands(self) -> CommandGenerator[None]:
        """The rest of the work."""
        command = self._command
        while True:
            reply = yield command
            try:
                command = self._work.send(reply)
            except StopIteration:
                return


class Failed(events.Event):
    """What work on a response raised outside of the layers."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class LaneStream(Protocol):
    """The stream that a response is for."""

    stream_id: int

    @property
    def waits(self) -> bool:
        """Whether an event has to wait until one before it is worked on."""

    def take(self, event: events.Event) -> CommandGenerator[None]:
        """Take an event that need not wait."""


class FastLane:
    """Receives the response to one request."""

    def __init__(
        self,
        stream: LaneStream,
        upstream: UpstreamSocket,
        deliver: Deliver,
        client: asyncio.WriteTransport,
    ) -> None:
        self._stream = stream
        self._deliver = deliver
        self._client = client
        protocol = client.get_protocol()
        self._flow = protocol if isinstance(protocol, AcceptFilter) else None
        if self._flow is not None:
            self._flow.watch(upstream)

    def receive(self, head: http.Response | None, data: bytes, *, ended: bool) -> None:
        if head is None and not ended:
            self._pass_on(data)
            return
        stream_id, parts = self._stream.stream_id, list[events.Event]()
        if head is not None:
            parts.append(ResponseHeaders(stream_id, head, ended and not data))
        if data:
            parts.append(ResponseData(stream_id, data))
        if ended:
            parts.append(ResponseEndOfMessage(stream_id))
        self._tell(*parts)

    def lose(self, why: str) -> None:
        code = ErrorCode.GENERIC_SERVER_ERROR
        self._tell(ResponseProtocolError(self._stream.stream_id, why, code))

    def release(self) -> None:
        if self._flow is not None:
            self._flow.watch(None)

    def _pass_on(self, data: bytes) -> None:
        """Do what is to be done with more of the body, and send what comes of it."""
        event = ResponseData(self._stream.stream_id, data)
        if self._stream.waits:
            self._tell(event)
            return
        work = self._stream.take(event)
        try:
            for command in work:
                if not isinstance(command, commands.SendData):
                    self._tell(GoOn(command, work))
                    return
                if not self._client.is_closing():
                    self._client.write(command.data)
        except Exception as error:
            self._tell(Failed(error))

    def _tell(self, *parts: events.Event) -> None:
        """Give events to the layers, here and now: they wait for nothing."""
        delivery = self._deliver(FromUpstream(self._stream.stream_id, *parts))
        asyncio.Task(delivery, loop=asyncio.get_running_loop(), eager_start=True)


def fast_lane(stream: LaneStream, client_id: str, upstream: UpstreamSocket) -> FastLane:
    """The lane to a client that is connected."""
    handler = ctx.master.addons.get("proxyserver").connections[client_id]
    writer = handler.transports[handler.client].writer
    return FastLane(stream, upstream, handler.server_event, writer.transport)
