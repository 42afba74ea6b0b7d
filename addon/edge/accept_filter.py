"""Connections reach mitmproxy with a whole head, as through FreeBSD's accept filter accf_http(9).

Until then one costs an entry in a table and a timer: mitmproxy would make some 160 objects of it,
and wake several coroutines for each byte of a head that comes byte by byte.
"""

import asyncio
import random
import re
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from addon.edge.convert import address_of

__all__ = ("AcceptFilter", "Door", "Source")

MOST_BYTES = 4096
"""A longer head goes on to mitmproxy's layer, which has a room for such: a thousand connections of
an address hold 4 MB here.
"""

SPREAD_SECONDS = 0.1
"""Those that came together are not closed together: a thousand take 20 ms."""

_BLANK_LINE = re.compile(rb"\n\r?\n")

type Serve = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None] | None
]


class Door(Protocol):
    """Who may connect, and for how long without a request."""

    @property
    def connected(self) -> int: ...

    def enter(self, address: str) -> bool: ...

    def leave(self, address: str) -> None: ...

    def patience(self, address: str, *, within_head: bool) -> float: ...


class Source(Protocol):
    """What the bytes for a client come from."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class AcceptFilter(asyncio.StreamReaderProtocol):
    """One connection, which is served when its first head is there or is no head at all."""

    def __init__(self, serve: Serve, door: Door) -> None:
        super().__init__(asyncio.StreamReader(), serve)
        self._door = door
        self._address: str | None = None
        self._kept_out: asyncio.Transport | None = None
        self._head = bytearray()
        self._alarm: asyncio.TimerHandle | None = None
        self._source: Source | None = None
        self._is_slow = False
        """Whether the client reads more slowly than it is written to."""

    def watch(self, source: Source | None) -> None:
        """From now on have this wait whenever the client reads more slowly than it says."""
        self._source = source
        if source is not None and self._is_slow:
            source.pause()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_slow = True
        if self._source is not None:
            self._source.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_slow = False
        if self._source is not None:
            self._source.resume()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        address = address_of(transport.get_extra_info("peername"))
        self._kept_out = cast(asyncio.Transport, transport)  # uvloop's derives from none
        if self._door.enter(address):
            self._address = address
            self._wait(within_head=False)
        else:
            self._close()

    def data_received(self, data: bytes) -> None:
        if self._kept_out is None:
            super().data_received(data)
            return
        begins = not self._head
        self._head += data
        if _is_complete(self._head):
            self._let_in(self._kept_out)
        elif begins:
            self._wait(within_head=True)

    def eof_received(self) -> bool:
        if self._kept_out is not None and self._head:
            self._let_in(self._kept_out)
        return self._kept_out is None and bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._address is not None:
            self._door.leave(self._address)
        super().connection_lost(exc)

    def _wait(self, *, within_head: bool) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        seconds = self._door.patience(self._address or "", within_head=within_head)
        seconds += SPREAD_SECONDS * random.random()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._close)

    def _close(self) -> None:
        if self._kept_out is not None:
            self._kept_out.abort()

    def _let_in(self, transport: asyncio.BaseTransport) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        head, self._head, self._kept_out = bytes(self._head), bytearray(), None
        super().connection_made(transport)
        super().data_received(head)


def _is_complete(head: bytearray) -> bool:
    """Whether there is nothing to wait for: it ends, grows too long, or is another protocol's."""
    begin = head.lstrip(b"\r\n")[:1]
    strange = bool(begin) and not begin.isalpha()
    return strange or len(head) >= MOST_BYTES or _BLANK_LINE.search(head) is not None
