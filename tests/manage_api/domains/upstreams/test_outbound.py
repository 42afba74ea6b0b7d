"""Calls to upstreams go only where they may, end in time, and say in words what went wrong."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manage_api.domains.upstreams.outbound import (
    MAX_BYTES,
    Answer,
    OutboundError,
    fetch,
    refuse_private,
    tls_context,
)
from shared.config.schema import Upstream
from tests.support.gateway import free_port
from tests.support.rawhttp import CUT, RESET, Gate, Piece, RawServer, Received, Reply, json_reply
from tests.support.tls import TlsFront

TLS = tls_context({})


class Server:
    """Answers on loopback with what the test puts into `reply`."""

    def __init__(self) -> None:
        self.reply = json_reply(b"{}")
        self.raw = RawServer(self._answer)

    async def _answer(self, _: Received) -> Reply:
        return self.reply

    @property
    def upstream(self) -> Upstream:
        return Upstream(name="a", base_url=f"http://127.0.0.1:{self.raw.port}")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.raw.start()
    yield server
    server.raw.stop()


async def get(
    upstream: Upstream, *, guarded: bool = False, tls: ssl.SSLContext = TLS, seconds: float = 10
) -> Answer:
    headers = [("host", "a"), ("x-team", "blue")]
    return await fetch(upstream, "/v1/models", headers, guarded=guarded, tls=tls, seconds=seconds)


async def words(upstream: Upstream, **options: Any) -> str:
    """Why there is no answer."""
    with pytest.raises(OutboundError) as refused:
        await get(upstream, **options)
    return str(refused.value)


async def test_an_answer_is_had_with_its_status(server: Server) -> None:
    server.reply = json_reply(b'{"data": []}', 201)

    assert await get(server.upstream) == Answer(201, b'{"data": []}')
    [request] = server.raw.requests
    assert (request.method, request.target, request.header("x-team")) == (
        "GET",
        "/v1/models",
        "blue",
    )


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_every_framing_is_read(server: Server, framing: Any) -> None:
    server.reply = Reply(pieces=[b"ab", b"cd"], framing=framing)

    assert (await get(server.upstream)).body == b"abcd"


async def test_no_redirect_is_followed(server: Server) -> None:
    server.reply = Reply(
        status=302, headers=[("location", server.upstream.base_url + "/elsewhere")]
    )

    assert (await get(server.upstream)).status == 302
    assert len(server.raw.requests) == 1


async def test_a_long_answer_is_cut_off(server: Server) -> None:
    server.reply = Reply(pieces=[b"x" * (MAX_BYTES + 1)])

    assert await words(server.upstream) == "The response is too long to be a list of models."


async def test_endless_headers_are_cut_off(server: Server) -> None:
    server.reply = Reply(prelude=[b"HTTP/1.1 200 OK\r\n" + b"x-long: " + b"y" * 200_000])

    assert await words(server.upstream) == "The server's response is not HTTP."


@pytest.mark.parametrize(
    ("prelude", "message"),
    [
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CUT], "The server's response is not HTTP."),
        ([CUT], "The server's response is not HTTP."),
        ([RESET], "The server closed the connection without a response."),
    ],
    ids=["another protocol", "closed", "reset"],
)
async def test_what_is_no_answer_is_said(
    server: Server, prelude: list[Piece], message: str
) -> None:
    server.reply = Reply(prelude=prelude)

    assert await words(server.upstream) == message


async def test_an_answer_that_is_cut_is_none(server: Server) -> None:
    server.reply = Reply(headers=[("content-length", "9")], pieces=[b"ab", CUT], framing="bare")

    assert await words(server.upstream) == "The server's response is not HTTP."


async def test_nobody_waits_longer_than_the_limit(server: Server) -> None:
    server.reply = Reply(prelude=[Gate()])

    assert await words(server.upstream, seconds=0.2) == "There was no response within 0.2 seconds."


async def test_a_closed_port_is_said_without_its_address() -> None:
    message = await words(Upstream(name="a", base_url=f"http://127.0.0.1:{free_port()}"))

    assert message == "The connection was refused: no server is listening there."


async def test_a_header_that_cannot_be_sent_is_said(server: Server) -> None:
    with pytest.raises(OutboundError, match="headers of this upstream"):
        await fetch(server.upstream, "/", [("host", "a"), ("x", "a\r\nb")], guarded=False, tls=TLS)
    assert server.raw.requests == []


async def test_tls_is_checked_against_what_mitmproxy_trusts(server: Server, tmp_path: Path) -> None:
    with TlsFront(tmp_path, server.raw.port) as front:
        upstream = Upstream(name="a", base_url=front.base_url)
        trusting = tls_context({"ssl_verify_upstream_trusted_ca": str(front.authority)})

        assert (await get(upstream, tls=trusting)).status == 200
        assert (await get(upstream, tls=tls_context({"ssl_insecure": True}))).status == 200
        assert (await words(upstream)).startswith("The server's certificate is not valid: ")


async def test_a_certificate_for_another_host_is_refused(server: Server, tmp_path: Path) -> None:
    with TlsFront(tmp_path, server.raw.port) as front:
        upstream = Upstream(name="a", base_url=front.base_url.replace("localhost", "127.0.0.1"))
        trusting = tls_context({"ssl_verify_upstream_trusted_ca": str(front.authority)})

        assert "127.0.0.1" in await words(upstream, tls=trusting)
    assert server.raw.requests == []


async def test_plain_http_behind_https_is_said() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1") as plain:
        upstream = Upstream(
            name="a", base_url=f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        )

        assert (
            await words(upstream)
            == "The TLS handshake failed: perhaps the server expects plain http on this port."
        )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
async def test_a_guarded_call_never_reaches_this_machine(server: Server, host: str) -> None:
    upstream = Upstream(name="a", base_url=f"http://{host}:{server.raw.port}")

    assert "is in a private network" in await words(upstream, guarded=True)
    assert server.raw.connections == 0


class Resolver:
    """Answers of a name server, one for each question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: object, **_: object) -> list[tuple[Any, ...]]:
        if not self.answers:
            raise socket.gaierror
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0))
            for address in self.answers.pop(0)
        ]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def use(*answers: list[str]) -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Resolver(*answers))

    return use


@pytest.mark.parametrize(
    "host", ["nowhere.example", "a" * 64 + ".example"], ids=["unknown", "no name at all"]
)
async def test_a_name_that_does_not_resolve_is_said(host: str, resolve: Any) -> None:
    resolve()

    message = await words(Upstream(name="a", base_url=f"http://{host}"))

    assert message == f"The name {host} does not resolve: check base_url."


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    server: Server, resolve: Any
) -> None:
    resolve(["1.1.1.1", "127.0.0.1"])

    upstream = Upstream(name="a", base_url=f"http://rebinding.example:{server.raw.port}")
    assert "is in a private network" in await words(upstream, guarded=True)
    assert server.raw.connections == 0


async def test_what_was_looked_at_is_what_is_connected_to(server: Server, resolve: Any) -> None:
    resolve(["127.0.0.1"], ["1.1.1.1"])

    assert (
        await get(Upstream(name="a", base_url=f"http://rebinding.example:{server.raw.port}"))
    ).status == 200


async def test_the_next_address_is_tried_when_one_does_not_listen(
    server: Server, resolve: Any
) -> None:
    resolve(["127.0.0.2", "127.0.0.1"])

    assert (
        await get(Upstream(name="a", base_url=f"http://two.example:{server.raw.port}"))
    ).status == 200


async def test_a_name_that_does_not_resolve_yet_is_not_refused(resolve: Any) -> None:
    resolve()

    await refuse_private("nowhere.example")


async def test_a_name_that_leads_inside_is_refused(resolve: Any) -> None:
    resolve(["10.0.0.5"])

    with pytest.raises(OutboundError, match=r"inside\.example is in a private network"):
        await refuse_private("inside.example")
