"""A connection's socket is closed however it ends, and whoever waits for it hears of it."""

import asyncio
import socket
from contextlib import closing

import pytest
from mitmproxy import options
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO

from addon.edge import http1


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's way to read a connection, for the test's duration."""
    monkeypatch.setattr(ConnectionHandler, "handle_connection", ConnectionHandler.handle_connection)
    http1.install()


class Told(ConnectionHandler):
    """A connection whose events are kept."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.events: list[events.Event] = []

    async def server_event(self, event: events.Event) -> None:
        self.events.append(event)

    async def handle_hook(self, hook: commands.StartHook) -> None: ...


async def test_a_socket_that_fails_unexpectedly_is_closed_and_its_requests_hear_of_it() -> None:
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    client = Client(
        peername=("127.0.0.1", 1),
        sockname=("127.0.0.1", 2),
        timestamp_start=0,
        state=ConnectionState.OPEN,
    )
    handler = Told(Context(client, options.Options()))
    handler.transports[handler.client] = ConnectionIO(reader=reader, writer=writer)
    reader.set_exception(RuntimeError("of no kind that anybody knows"))
    with pytest.raises(RuntimeError, match="of no kind"):
        await handler.handle_connection(handler.client)
    [event] = handler.events
    assert isinstance(event, events.ConnectionClosed)
    assert handler.transports == {}
    with closing(far):
        assert await asyncio.to_thread(far.recv, 1) == b""
