"""A connection takes another request only after a whole response, and never tells one caller
what was said to another.
"""

import asyncio

import pytest

from addon.edge.upstream_socket import UpstreamSocket
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

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [HELLO, CHUNKED], ids=["sized", "chunked"])
async def test_requests_follow_one_another_on_one_connection(answer: bytes) -> None:
    pool = pool_of()
    async with Upstream(says(answer, answer, answer)) as upstream:
        for _ in range(3):
            received = await asked(pool, upstream.destination)
            assert (received.status, received.body, received.released) == (200, b"hello", 1)
    assert upstream.connections == 1


ONCE = {
    "it says so": HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
    "it speaks HTTP/1.0": HELLO.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "more than an answer came": HELLO + b"HTTP/1.1 200 OK\r\n",
    "more than chunks came": CHUNKED + b"x",
}


@pytest.mark.parametrize("answer", ONCE.values(), ids=ONCE)
async def test_a_connection_is_used_once_when(answer: bytes) -> None:
    pool = pool_of()
    async with Upstream(says(answer)) as upstream:
        for connections in (1, 2):
            received = await asked(pool, upstream.destination)
            assert (received.body, received.lost) == (b"hello", "")
            assert upstream.connections == connections


async def test_words_that_nobody_asked_for_reach_nobody() -> None:
    pool, said = pool_of(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HELLO)
        await writer.drain()
        await said.wait()
        writer.write(HELLO.replace(b"hello", b"other"))
        await read_request(reader)
        writer.write(HELLO)

    async with Upstream(script) as upstream:
        await asked(pool, upstream.destination)
        said.set()
        while pool.take(upstream.destination):
            pass  # it was not told yet
        received = await asked(pool, upstream.destination)
        assert received.body == b"hello"
        assert upstream.connections == 2


async def test_an_answer_before_the_request_was_read_ends_its_connection() -> None:
    pool = pool_of()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HELLO)
        await asyncio.Event().wait()

    async with Upstream(script) as upstream:
        received = await asked(pool, upstream.destination, b"x" * 20_000_000)
        assert received.body == b"hello"
        assert pool.take(upstream.destination) is None


async def test_interim_responses_are_passed_over() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with Upstream(says(interim + HELLO)) as upstream:
        received = await asked(pool_of(), upstream.destination)
    assert (received.status, received.body) == (200, b"hello")


async def test_a_body_without_length_ends_with_the_connection() -> None:
    async with Upstream(says(b"HTTP/1.0 200 OK\r\n\r\nhello", stays=False)) as upstream:
        received = await asked(pool_of(), upstream.destination)
    assert (received.body, received.lost) == (b"hello", "")


BROKEN = {
    "no answer": b"",
    "half a head": b"HTTP/1.1 200",
    "half a body": HELLO[:-1],
    "no last chunk": CHUNKED[:-5],
    "a chunk that is longer than it says": CHUNKED.replace(b"hello", b"hello!"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "two lengths": HELLO.replace(b"content-length: 5", b"content-length: 5\r\ncontent-length: 6"),
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_response_that_is_none_is_lost(answer: bytes) -> None:
    pool = pool_of()
    async with Upstream(says(answer, stays=False)) as upstream:
        received = await asked(pool, upstream.destination)
        assert received.lost
        assert received.released == 1
        assert pool.take(upstream.destination) is None


async def test_it_is_sure_that_a_request_was_not_taken_when_the_connection_had_ended() -> None:
    pool = pool_of()
    async with Upstream(says(HELLO, stays=False)) as upstream:
        received = Received()
        received.socket = socket = await connected(pool, upstream.destination)
        socket.send(*request(), received)
        await received.over.wait()
        again = Received()
        again.socket = socket
        await _peer_closed(socket)
        socket.send(*request(), again)
        await again.over.wait()
    assert again.lost
    assert again.was_untouched is True


async def test_a_request_that_was_read_may_have_been_taken() -> None:
    pool = pool_of()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HELLO)
        await read_request(reader)

    async with Upstream(script) as upstream:
        await asked(pool, upstream.destination)
        received = await asked(pool, upstream.destination)
    assert received.lost
    assert received.was_untouched is False


async def test_the_first_request_of_a_connection_is_never_untouched() -> None:
    async with Upstream(says(b"", stays=False)) as upstream:
        received = await asked(pool_of(), upstream.destination)
    assert received.was_untouched is False


async def test_who_gives_up_hears_no_more_and_closes_the_connection() -> None:
    pool, closed = pool_of(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED[:-5])
        await reader.read()
        closed.set()

    async with Upstream(script) as upstream:
        socket, received = await connected(pool, upstream.destination), Received()
        socket.send(*request(), received)
        await received.came.wait()
        socket.abort()
        await asyncio.wait_for(closed.wait(), 5)
        assert (received.lost, received.released) == ("", 1)
        assert pool.take(upstream.destination) is None


async def _peer_closed(socket: UpstreamSocket) -> None:
    """Wait until the end of the other side has arrived, and look away."""
    while socket.is_open:
        socket.pause()
        await asyncio.sleep(0)
