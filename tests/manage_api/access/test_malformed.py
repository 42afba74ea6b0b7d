"""A request that turns out to be malformed while it is worked on writes no traceback into the log."""

import asyncio
import logging
import socket

import pytest
import uvicorn
from litestar.types import ASGIApp, Receive, Scope, Send

from manage_api.access.malformed import Http

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
SECONDS = 30


async def answering_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine", "more_body": False})


async def answering_by_and_by(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": b"ended", "more_body": False})


async def said(app: ASGIApp, first: bytes, *then: bytes) -> bytes:
    """All that the server says to a client that sends the rest when it has heard something."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Http, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve([listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(first)
    heard = b""
    for piece in then:
        heard += await asyncio.wait_for(reader.readuntil(b"begun"), SECONDS)
        writer.write(piece)
    heard += await asyncio.wait_for(reader.read(), SECONDS)
    writer.close()
    server.should_exit = True
    await serving
    return heard


@pytest.mark.parametrize("app", [answering_at_once, answering_by_and_by])
def test_a_malformed_request_is_refused_in_a_line(
    app: ASGIApp, caplog: pytest.LogCaptureFixture
) -> None:
    heard = asyncio.run(said(app, HEAD + b"no size\r\n"))
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1") == 1
    assert [record.exc_info for record in caplog.records if record.exc_info] == []
    assert caplog.text.count("Invalid HTTP request") == 1


def test_an_answer_that_has_begun_is_cut_when_the_request_turns_out_malformed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard = asyncio.run(said(answering_by_and_by, HEAD, b"no size\r\n"))
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.endswith(b"begun\r\n")
    assert [record.exc_info for record in caplog.records if record.exc_info] == []


def test_a_malformed_request_for_a_head_alone_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    raw = HEAD.replace(b"POST", b"HEAD") + b"no size\r\n"
    assert asyncio.run(said(answering_at_once, raw)) == b""
    assert [record.exc_info for record in caplog.records if record.exc_info] == []


def test_other_requests_are_answered(caplog: pytest.LogCaptureFixture) -> None:
    heard = asyncio.run(said(answering_at_once, b"GET / HTTP/1.0\r\nhost: x\r\n\r\n"))
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.endswith(b"fine")
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
