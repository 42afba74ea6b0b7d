"""A connection is served when its first head is there, and costs next to nothing before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from addon.edge.accept_filter import MOST_BYTES, AcceptFilter

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n"


class Entrance:
    """Lets so many in, and closes what is silent for so long."""

    def __init__(self, room: int = 9, seconds: float = 60) -> None:
        self.connected = 0
        self.asked: list[bool] = []
        self._room = room
        self._seconds = seconds

    def enter(self, address: str) -> bool:
        assert address == "127.0.0.1"
        if self.connected == self._room:
            return False
        self.connected += 1
        return True

    def leave(self, address: str) -> None:
        self.connected -= 1

    def patience(self, address: str, *, within_head: bool) -> float:
        self.asked.append(within_head)
        return self._seconds


class Served:
    """What was served: all that each connection has said until its end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.said: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.begun.set()
        self.said.append(await reader.read())
        writer.close()


@asynccontextmanager
async def gate(entrance: Entrance) -> AsyncIterator[tuple[Served, int]]:
    served = Served()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: AcceptFilter(served, entrance), "127.0.0.1", 0)
    async with server:
        yield served, server.sockets[0].getsockname()[1]


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the entrance has no events
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "begin",
    [
        HEAD,
        b"\r\n" + HEAD,
        HEAD.replace(b"\r", b""),
        HEAD + b"{",
        b"G" * MOST_BYTES,
        b"\x16\x03\x01",
    ],
    ids=["a head", "after a line", "bare feeds", "with a body", "too long", "no HTTP"],
)
async def test_what_is_there_to_be_served_is_passed_on_whole(begin: bytes) -> None:
    async with gate(Entrance()) as (served, port):
        _, writer = await connect(port)
        writer.write(begin)
        await asyncio.wait_for(served.begun.wait(), 10)
        writer.write(b"more")
        writer.close()
        await until(lambda: served.said)
    assert served.said == [begin + b"more"]


async def test_nothing_is_served_before_the_blank_line() -> None:
    entrance = Entrance()
    async with gate(entrance) as (served, port):
        _, writer = await connect(port)
        for byte in HEAD[:-1]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await until(lambda: entrance.asked == [False, True])
        assert not served.begun.is_set()
        writer.write(HEAD[-1:])
        await asyncio.wait_for(served.begun.wait(), 10)
        writer.close()
        await until(lambda: served.said)
    assert served.said == [HEAD]


async def test_a_head_that_ends_too_early_is_for_the_layer_above_to_answer() -> None:
    async with gate(Entrance()) as (served, port):
        _, writer = await connect(port)
        writer.write(HEAD[:20])
        writer.write_eof()
        await until(lambda: served.said)
        writer.close()
    assert served.said == [HEAD[:20]]


@pytest.mark.parametrize("begin", [b"", HEAD[:20], b"\r\n"], ids=["silent", "a head", "a line"])
async def test_what_makes_no_request_in_time_is_closed(begin: bytes) -> None:
    entrance = Entrance(seconds=0)
    async with gate(entrance) as (served, port):
        reader, writer = await connect(port)
        writer.write(begin)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 10)
        writer.close()
        await until(lambda: entrance.connected == 0)
    assert not served.said


async def test_who_is_not_let_in_is_closed_and_counts_for_nothing() -> None:
    entrance = Entrance(room=0)
    async with gate(entrance) as (served, port):
        reader, writer = await connect(port)
        writer.write(HEAD)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 10)
        writer.close()
    assert entrance.connected == 0
    assert not served.said


async def test_who_leaves_is_counted_no_more_served_or_not() -> None:
    entrance = Entrance()
    async with gate(entrance) as (served, port):
        for begin in (b"", b"GET", HEAD):
            _, writer = await connect(port)
            writer.write(begin)
            await until(lambda: entrance.connected == 1)
            writer.close()
            await until(lambda: entrance.connected == 0)
    assert [said for said in served.said if said == HEAD] == [HEAD]


class Foreign:
    """A transport of uvloop's kind, which derives from none of asyncio's."""

    def __init__(self) -> None:
        self.aborted = False

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    def abort(self) -> None:
        self.aborted = True


async def test_a_connection_on_another_event_loop_is_turned_away_too() -> None:
    transport: Any = Foreign()
    AcceptFilter(Served(), Entrance(room=0)).connection_made(transport)
    assert transport.aborted
