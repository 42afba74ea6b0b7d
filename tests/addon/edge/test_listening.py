"""The gateway's port takes over where mitmproxy listens, and turns away whom the door keeps out."""

import asyncio
import socket
from pathlib import Path

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_servers import AsyncioServerInstance, ServerInstance
from mitmproxy.test import taddons

from addon.edge.crowd import Crowd
from addon.edge.listening import BACKLOG, Port
from shared.config.schema import Server
from tests.addon.edge.line import Clock
from tests.support.sockets import backlog_of

AT_MOST = int(Path("/proc/sys/net/core/somaxconn").read_text())
"""Connections that the kernel lets wait at any socket."""

MODE = "reverse:http://127.0.0.1:9@127.0.0.1:0"
NOBODY = Server(trusted_proxies=(), max_connections_per_address=0)


async def turned_away(port: int) -> bool:
    """Whether a connection is closed without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(reader.read(1), 10) == b""
    except ConnectionError:
        return True
    finally:
        writer.close()


async def test_where_mitmproxy_listens_by_itself_a_burst_may_wait_and_the_door_holds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    proxyserver = Proxyserver()
    with taddons.context(proxyserver):
        instance = ServerInstance.make(MODE, proxyserver)
        assert isinstance(instance, AsyncioServerInstance)
        await instance.start()
        monkeypatch.setattr(proxyserver, "servers", [instance])
        [(_, port)] = instance.listen_addrs
        before = backlog_of(port)
        mine = Port([], Crowd(lambda: NOBODY, Clock()))
        await mine.open()
        assert (before, backlog_of(port)) == (100, min(BACKLOG, AT_MOST))
        assert await turned_away(port)
        assert not mine.connected
        mine.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    assert "a connection of 127.0.0.1 is closed: too many connections of its address" in caplog.text


async def test_the_door_holds_at_sockets_that_were_handed_over() -> None:
    handed = socket.create_server(("127.0.0.1", 0), backlog=1)
    port = handed.getsockname()[1]
    with taddons.context(Proxyserver()) as tctx:
        tctx.options.update(mode=[MODE])
        mine = Port([handed], Crowd(lambda: NOBODY, Clock()))
        await mine.open()
        assert backlog_of(port) == min(BACKLOG, AT_MOST)
        assert await turned_away(port)
        mine.close()
