"""A delta goes straight from the upstream to the client; whatever is more than that takes
mitmproxy's way, and nothing overtakes anything.
"""

import asyncio

import pytest
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._events import (
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from addon.edge.accept_filter import AcceptFilter
from addon.edge.fast_lane import Failed, FastLane, FromUpstream, GoOn
from tests.addon.edge.upstream import HELLO, Upstream, connected, pool_of, request, says

CLIENT = object()


class Stream:
    """Sends what it is given to the client, after `asks` if there are any."""

    stream_id = 7

    def __init__(self) -> None:
        self.waits = False
        self.asks: list[commands.Command] = []
        self.replies: list[object] = []

    def take(self, event: events.Event) -> CommandGenerator[None]:
        assert isinstance(event, ResponseData)
        if event.data == b"fault":
            raise RuntimeError("a fault of ours")
        yield commands.SendData(CLIENT, event.data)  # type: ignore[arg-type]
        for command in self.asks:
            self.replies.append((yield command))
        if self.asks:
            yield commands.SendData(CLIENT, b"after it")  # type: ignore[arg-type]


class Lane:
    """A lane between an upstream and a client that are connected for real."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.heard: list[events.Event] = []
        self.over = asyncio.Event()

    async def __aenter__(self) -> FastLane:
        self._upstream = Upstream(says(HELLO))
        await self._upstream.__aenter__()
        self.socket = await connected(pool_of(), self._upstream.destination)
        self._ready: asyncio.Future[asyncio.StreamWriter] = asyncio.Future()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._writer.write(b"GET / HTTP/1.1\r\n\r\n")
        self.client = await self._ready
        return FastLane(self.stream, self.socket, self._deliver, self.client.transport)

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        self.client.close()
        self._server.close()
        self.socket.abort()
        await self._upstream.__aexit__()

    async def _deliver(self, event: events.Event) -> None:
        assert isinstance(event, FromUpstream)
        assert event.stream_id == self.stream.stream_id
        self.heard += event.parts
        if isinstance(event.parts[-1], ResponseEndOfMessage):
            self.over.set()

    def _protocol(self) -> AcceptFilter:
        return AcceptFilter(lambda _, writer: self._ready.set_result(writer), Open())


class Open:
    connected = 0

    def enter(self, address: str) -> bool:
        return True

    def leave(self, address: str) -> None:
        pass

    def patience(self, address: str, *, within_head: bool) -> float:
        return 60


@pytest.fixture
def lane() -> Lane:
    return Lane()


async def test_a_delta_is_sent_at_once_and_the_layers_hear_nothing(lane: Lane) -> None:
    async with lane as fast:
        fast.receive(None, b"delta", ended=False)
        assert await lane.reader.readexactly(5) == b"delta"
    assert lane.heard == []


async def test_heads_and_ends_are_told_to_the_layers_in_their_order(lane: Lane) -> None:
    lane.stream.waits = True
    async with lane as fast:
        lane.socket.send(*request(), fast)
        await asyncio.wait_for(lane.over.wait(), 10)
    assert [type(event) for event in lane.heard] == [
        ResponseHeaders,
        ResponseData,
        ResponseEndOfMessage,
    ]


async def test_work_that_asks_for_more_goes_on_in_the_layers(lane: Lane) -> None:
    asked = commands.RequestWakeup(0)
    lane.stream.asks = [asked]
    async with lane as fast:
        fast.receive(None, b"delta", ended=False)
        assert await lane.reader.readexactly(5) == b"delta"
        (going_on,) = lane.heard
        assert isinstance(going_on, GoOn)
        rest = going_on.commands()
        assert next(rest) is asked
        sent = rest.send("the reply")
        assert isinstance(sent, commands.SendData)
        assert sent.data == b"after it"
        assert next(rest, None) is None
    assert lane.stream.replies == ["the reply"]


async def test_nothing_overtakes_what_waits(lane: Lane) -> None:
    lane.stream.waits = True
    async with lane as fast:
        fast.receive(None, b"delta", ended=False)
    (event,) = lane.heard
    assert isinstance(event, ResponseData)
    assert event.data == b"delta"


async def test_a_fault_of_ours_is_told_to_the_layers(lane: Lane) -> None:
    async with lane as fast:
        fast.receive(None, b"fault", ended=False)
    (event,) = lane.heard
    assert isinstance(event, Failed)
    assert str(event.error) == "a fault of ours"


async def test_a_connection_that_ends_is_told_to_the_layers(lane: Lane) -> None:
    async with lane as fast:
        fast.lose("reset")
    (event,) = lane.heard
    assert isinstance(event, ResponseProtocolError)


async def test_a_client_that_reads_slowly_holds_the_upstream_back(lane: Lane) -> None:
    async with lane as fast:
        transport = lane.socket._transport
        while transport.is_reading():
            fast.receive(None, b"x" * 100_000, ended=False)
        await lane.reader.read(1)
        while not transport.is_reading():
            await lane.reader.read(100_000)


async def test_an_upstream_that_is_done_is_held_back_no_more(lane: Lane) -> None:
    async with lane as fast:
        fast.release()
        while lane.client.transport.get_write_buffer_size() < 1_000_000:
            fast.receive(None, b"x" * 100_000, ended=False)
        assert lane.socket._transport.is_reading()
