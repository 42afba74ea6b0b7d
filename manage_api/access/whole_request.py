"""Answers that end when their request has come."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, ReceiveMessage, Scope, Send

__all__ = ("MOST_BYTES", "ending_after_request")

MOST_BYTES = 1024 * 1024
"""Of a request's rest that are read: no body that we take is longer."""

MOST_SECONDS = 1
"""How long the end of an answer waits for it."""


def ending_after_request(app: ASGIApp) -> ASGIApp:
    """The application, whose answer ends when all of the request has come, whether or not it
    was read: the server closes the connection then, and the bytes that come to a closed one
    reset it, by which the answer is lost (RFC 9112 §9.6).
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request, held = _Request(receive), list[Message]()

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start" and _has_length(message["headers"]):
                held.append(message)  # what comes may still be no request
                return
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await request.read_rest()
            for each in [*held, message]:
                await send(each)
            held.clear()

        await app(scope, request.receive, say)

    return answer


class _Request:
    """What has come of a request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._over = False

    async def receive(self) -> ReceiveMessage:
        message = await self._receive()
        self._over = self._over or not message.get("more_body")
        return message

    async def read_rest(self) -> None:
        left = MOST_BYTES
        with suppress(TimeoutError):  # it does not come: nothing is there to be reset by
            async with asyncio.timeout(MOST_SECONDS):
                while not self._over and left > 0:
                    message = await self.receive()
                    left -= len(message.get("body") or b"")  # type: ignore[arg-type]


def _has_length(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the answer is none that is streamed."""
    return any(name.lower() == b"content-length" for name, _ in headers)
