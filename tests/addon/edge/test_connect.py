"""Connections to upstreams lead to the Internet or to what the operator provisioned, and are
given up in time.
"""

import asyncio

import pytest
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addon.edge.connect import Places, UpstreamConnections
from shared.config.schema import Server as ServerSettings
from shared.config.schema import Snapshot, Timeouts, Upstream

PROVISIONED = Upstream(name="near", base_url="http://127.0.0.2:8000", api_keys=("k",))


def hook(host: str, port: int = 443) -> ServerConnectionHookData:
    client = Client(peername=("192.0.2.7", 1), sockname=("127.0.0.1", 8787), timestamp_start=0)
    return ServerConnectionHookData(server=Server(address=(host, port)), client=client)


def connections(*upstreams: Upstream, allow_private: bool = False) -> UpstreamConnections:
    server = ServerSettings(allow_private_upstreams=allow_private, admin_addr="127.0.0.3:9000")
    return UpstreamConnections(Places(lambda: Snapshot(server=server, upstreams=upstreams)))


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "localhost", "::1", "169.254.169.254"])
async def test_an_address_inside_a_private_network_is_refused(host: str) -> None:
    made = hook(host)
    await connections().server_connect(made)
    assert made.server.error == "private address"


async def test_private_networks_are_reached_where_they_are_allowed() -> None:
    made = hook("127.0.0.1")
    await connections(allow_private=True).server_connect(made)
    assert made.server.error is None


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.2", 8000), ("127.0.0.3", 9000)], ids=["upstream", "sidecar"]
)
async def test_what_was_provisioned_may_be_in_a_private_network(host: str, port: int) -> None:
    made = hook(host, port)
    await connections(PROVISIONED).server_connect(made)
    assert made.server.error is None
    assert made.server.address == (host, port)


async def test_another_port_of_a_provisioned_host_is_refused() -> None:
    made = hook("127.0.0.2", 8001)
    await connections(PROVISIONED).server_connect(made)
    assert made.server.error == "private address"


async def test_a_name_without_an_address_is_an_error_of_its_connection() -> None:
    made = hook("no\x00name")
    await connections().server_connect(made)
    assert made.server.error


async def test_the_address_that_was_vetted_is_the_one_that_is_connected_to() -> None:
    watching, made = connections(), hook("8.8.8.8")
    await watching.server_connect(made)
    assert (made.server.error, made.server.address) == (None, ("8.8.8.8", 443))


async def test_an_open_connection_has_its_name_again() -> None:
    watching, made = connections(), hook("134744072")  # 8.8.8.8, as inet_aton reads it
    await watching.server_connect(made)
    assert made.server.address == ("8.8.8.8", 443)
    made.server.state = ConnectionState.OPEN
    watching.server_connected(made)
    assert made.server.address == ("134744072", 443)


HURRIED = Upstream(
    name="hurried", base_url="http://127.0.0.2:8000", timeouts=Timeouts(connect=0.01)
)


async def connect_in_vain(watching: UpstreamConnections) -> None:
    """mitmproxy's task that makes a connection, which nobody accepts."""
    await watching.server_connect(hook("127.0.0.2", 8000))
    await asyncio.Event().wait()


async def test_a_connection_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(asyncio.CancelledError):
        await asyncio.gather(connect_in_vain(connections(HURRIED)))


async def test_a_connection_that_is_made_is_not_given_up_later() -> None:
    watching, made = connections(HURRIED), hook("127.0.0.2", 8000)

    async def connect() -> str:
        await watching.server_connect(made)
        watching.server_connected(made)
        # Its timer would run out before this later one.
        await asyncio.gather(connect_in_vain(watching), return_exceptions=True)
        return "connected"

    assert await asyncio.gather(connect()) == ["connected"]


async def test_a_connection_that_could_not_be_looked_at_is_not_made() -> None:
    def fails() -> Snapshot:
        raise RuntimeError("no snapshot")

    made = hook("192.0.2.1")
    with pytest.raises(RuntimeError, match="no snapshot"):
        await UpstreamConnections(Places(fails)).server_connect(made)
    assert made.server.error


async def test_the_time_for_a_connection_is_that_of_its_handshake_too() -> None:
    watching, made = connections(HURRIED), hook("127.0.0.2", 8000)
    made.server.tls = True

    async def connect() -> None:
        await watching.server_connect(made)
        watching.server_connected(made)
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.gather(connect())
