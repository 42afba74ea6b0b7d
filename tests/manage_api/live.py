"""A browser that follows an endless answer."""

import asyncio
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import msgspec
from litestar import Litestar
from litestar.types import Message

from tests.manage_api.world import bearer

__all__ = ("Event", "Listener")

PATIENCE = 30
"""Seconds after which a test gives up."""


class Event(msgspec.Struct, frozen=True):
    """A server-sent event; a comment has no name."""

    name: str
    id: str
    data: Any


class Listener:
    """One request for the live feed, from its first byte to its last."""

    def __init__(
        self, app: Litestar, credential: str, headers: dict[str, str] | None = None, **query: Any
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._app = app
        self._scope = _scope(bearer(credential) | (headers or {}), query)
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self._left = asyncio.Event()
        self._asked = False

    async def __aenter__(self) -> Self:
        self._call = asyncio.ensure_future(self._app(self._scope, self._receive, self._sent.put))
        begin = await self._next()
        self.status = begin["status"]
        self.headers = {name.decode(): value.decode() for name, value in begin["headers"]}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Close the connection and see that the answer has ended."""
        self._left.set()
        await asyncio.wait_for(asyncio.wait([self._call]), PATIENCE)
        self._call.result()

    async def event(self) -> Event | None:
        """The next event; None at the end of the answer."""
        message = await self._next()
        return _parsed(message["body"].decode()) if message["more_body"] else None

    async def _next(self) -> Any:
        return await asyncio.wait_for(self._sent.get(), PATIENCE)

    async def _receive(self) -> Message:
        if self._asked:
            await self._left.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}


def _parsed(text: str) -> Event:
    assert text.endswith("\n\n")
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return Event(
        fields.get("event", ""),
        fields.get("id", ""),
        msgspec.json.decode(fields["data"]) if "data" in fields else None,
    )


def _scope(headers: dict[str, str], query: dict[str, Any]) -> Any:
    path = "/api/admin/requests/live"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8788),
    }
