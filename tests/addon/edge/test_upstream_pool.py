"""Connections to upstreams are shared by all clients, lead only where they may, and are kept for
a while.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons

from addon.edge import upstream_pool
from addon.edge.connect import Places
from addon.edge.convert import connect_words
from addon.edge.upstream_pool import IDLE_SECONDS, MOST_IDLE, PLAIN_PATH, Opening, UpstreamPool
from addon.edge.upstream_socket import Destination
from shared.config.schema import Server as ServerSettings
from shared.config.schema import Snapshot, Timeouts
from shared.config.schema import Upstream as Configured
from tests.addon.edge.line import Clock
from tests.addon.edge.upstream import (
    HELLO,
    Received,
    Upstream,
    asked,
    connected,
    pool_of,
    read_request,
    request,
    says,
)
from tests.support.tls import make_certificate


def places(**settings: object) -> Places:
    server = ServerSettings(admin_addr="127.0.0.3:9000", **settings)  # type: ignore[arg-type]
    return Places(lambda: Snapshot(server=server))


async def opened(pool: UpstreamPool, destination: Destination) -> Opening:
    opening = Opening(destination)
    await pool.open_upstream(opening)
    return opening


async def test_what_is_idle_for_long_is_closed_and_the_rest_is_kept() -> None:
    clock = Clock()
    pool = UpstreamPool(places(allow_private_upstreams=True), clock)
    async with Upstream(says(HELLO, HELLO)) as upstream:
        sockets = [await connected(pool, upstream.destination) for _ in range(2)]
        pool.keep(sockets[0])
        clock.seconds += IDLE_SECONDS
        pool.keep(sockets[1])
        clock.seconds += 1
        pool.each_second()
        assert pool.take(upstream.destination) is sockets[1]
        assert pool.take(upstream.destination) is None


async def test_the_connection_that_was_used_last_is_used_next() -> None:
    pool = pool_of()
    async with Upstream(says(HELLO)) as upstream:
        sockets = [await connected(pool, upstream.destination) for _ in range(3)]
        for each in sockets:
            pool.keep(each)
        assert pool.take(upstream.destination) is sockets[2]


async def test_no_more_than_a_number_is_kept() -> None:
    pool = pool_of()
    async with Upstream(says(HELLO)) as upstream:
        for each in [await connected(pool, upstream.destination) for _ in range(MOST_IDLE + 3)]:
            pool.keep(each)
        kept = 0
        while pool.take(upstream.destination):
            kept += 1
    assert kept == MOST_IDLE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254"])
async def test_no_connection_is_made_into_a_private_network(host: str) -> None:
    pool = UpstreamPool(places(), Clock())
    opening = await opened(pool, Destination(host, 443, tls=True))
    assert (opening.made, opening.error) == (None, "private address")


async def test_a_connection_from_before_a_place_was_guarded_is_used_no_more() -> None:
    async with Upstream(says(HELLO)) as upstream:
        base_url = f"http://127.0.0.1:{upstream.destination.port}"
        own = Configured(name="own", base_url=base_url, api_keys=("k",))
        server = ServerSettings(admin_addr="127.0.0.3:9000")
        snapshots = [Snapshot(server=server, upstreams=(own,))]
        pool = UpstreamPool(Places(lambda: snapshots[-1]), Clock())
        pool.keep(await connected(pool, upstream.destination))
        snapshots.append(Snapshot(server=server))
        assert pool.take(upstream.destination) is None


async def test_a_connection_that_is_refused_says_so() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        destination = Destination("127.0.0.1", closed.getsockname()[1], tls=False)
        opening = await opened(pool_of(), destination)
    assert connect_words(opening.error) == "connection refused"


async def test_a_handshake_that_does_not_end_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        port = silent.getsockname()[1]
        configured = Configured(
            name="own",
            base_url=f"https://127.0.0.1:{port}",
            api_keys=("k",),
            timeouts=Timeouts(connect=0.1),
        )
        pool = pool_of(snapshot=Snapshot(upstreams=(configured,)))
        with taddons.context(TlsConfig()):
            opening = await opened(pool, Destination("127.0.0.1", port, tls=True))
    assert connect_words(opening.error) == "no connection in time"


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[ssl.SSLContext]:
    """TLS of an upstream on 127.0.0.1 that mitmproxy trusts."""
    authority = tmp_path / "authority.pem"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(make_certificate(tmp_path, authority))
    with taddons.context(TlsConfig()) as tctx:
        tctx.options.ssl_verify_upstream_trusted_ca = str(authority)
        yield context


async def test_an_upstream_behind_tls_is_reached_again_without_a_handshake(
    trusting: ssl.SSLContext,
) -> None:
    pool = pool_of()
    async with Upstream(says(HELLO, HELLO, HELLO), trusting) as upstream:
        destination = upstream.destination._replace(host="localhost")
        for _ in range(3):
            assert (await asked(pool, destination)).body == b"hello"
        idle = pool.take(destination)
        assert idle is not None
        assert idle.server.tls_version == "TLSv1.3"
    assert upstream.connections == 1


async def test_an_answer_of_many_records_of_tls_comes_whole(trusting: ssl.SSLContext) -> None:
    body = Random(5).randbytes(300_000)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + body
    async with Upstream(says(answer), trusting) as upstream:
        destination = upstream.destination._replace(host="localhost")
        assert (await asked(pool_of(), destination)).body == body


async def test_a_certificate_of_another_name_is_refused(trusting: ssl.SSLContext) -> None:
    async with Upstream(says(HELLO), trusting) as upstream:
        opening = await opened(pool_of(), upstream.destination)
    assert connect_words(opening.error) == "its TLS certificate is not valid"


async def test_a_port_without_tls_is_told_apart() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with Upstream(script) as upstream:
        with taddons.context(TlsConfig()):
            opening = await opened(pool_of(), upstream.destination._replace(tls=True))
    assert opening.made is None
    assert connect_words(opening.error) == "the TLS handshake failed"


async def test_mitmproxy_s_own_connections_are_used_where_it_is_told_more_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PLAIN_PATH, raising=False)
    with taddons.context(TlsConfig(), Proxyserver()) as tctx:
        assert not upstream_pool.takes_plain_path()
        tctx.options.ciphers_server = "AES256-SHA"
        assert upstream_pool.takes_plain_path()
        tctx.options.ciphers_server = None
        monkeypatch.setenv(PLAIN_PATH, "1")
        assert upstream_pool.takes_plain_path()


async def test_no_caller_ever_gets_what_was_said_to_another() -> None:
    """Whatever an upstream does, in whatever order."""
    random = Random(17)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = await read_request(reader)
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            match random.randrange(8):
                case 0:
                    writer.write(answer[: random.randrange(len(answer))])
                    return
                case 1:  # twice
                    writer.write(answer + answer)
                case 2:
                    return
                case 3:  # once more, later
                    writer.write(answer)
                    await asyncio.sleep(0)
                    writer.write(answer)
                case 4:
                    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                    writer.write(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
                case 5:
                    writer.write(answer)
                    return
                case _:
                    writer.write(answer)
            await writer.drain()

    pool, answered = pool_of(), 0

    async def ask_again_and_again(who: int) -> None:
        nonlocal answered
        for number in range(60):
            body = b"%d of %d" % (number, who)
            received, sock = Received(), await connected(pool, upstream.destination)
            sock.send(*request(body), received)
            if random.random() < 0.1:
                sock.abort()
                continue
            await asyncio.wait_for(received.over.wait(), 10)
            assert received.lost or received.body == body
            answered += not received.lost

    async with Upstream(script) as upstream:
        await asyncio.gather(*map(ask_again_and_again, range(8)))
    assert answered > 200
    assert upstream.connections < 400
