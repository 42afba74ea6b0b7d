"""An answer ends when its request has come, as a connection that is closed before is reset."""

import asyncio
from typing import Any

import pytest
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from manage_api.access.whole_request import MOST_BYTES, ending_after_request

SCOPE: Any = {"type": "http", "method": "POST"}
BEGIN: Any = {"type": "http.response.start", "status": 401, "headers": []}
END: Any = {"type": "http.response.body", "body": b"no", "more_body": False}


def piece(body: bytes, more: bool) -> Any:
    return {"type": "http.request", "body": body, "more_body": more}


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    await send(BEGIN)
    await send({**END, "more_body": True})
    await send(END)


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await refusing(scope, receive, send)


def happened(app: ASGIApp, *comes: Any) -> list[str]:
    """What was received and sent, in order; nothing comes after what does."""
    order: list[str] = []
    coming = list(comes)

    async def receive() -> Message:
        if not coming:
            await asyncio.Event().wait()
        order.append("piece")
        message: Message = coming.pop(0)
        return message

    async def send(message: Message) -> None:
        more = message.get("more_body", True)
        order.append("more" if more else "end")

    asyncio.run(ending_after_request(app)(SCOPE, receive, send))  # type: ignore[arg-type]
    return order


@pytest.mark.parametrize("last", [piece(b"b", False), {"type": "http.disconnect"}])
def test_the_end_waits_for_the_rest_of_the_request(last: Any) -> None:
    order = happened(refusing, piece(b"a", True), last)
    assert order == ["more", "more", "piece", "piece", "end"]


async def refusing_as_a_whole(scope: Scope, receive: Receive, send: Send) -> None:
    await send({**BEGIN, "headers": [(b"content-length", b"2")]})
    await send(END)


def test_an_answer_that_is_not_streamed_begins_when_the_request_has_come() -> None:
    order = happened(refusing_as_a_whole, piece(b"a", True), piece(b"b", False))
    assert order == ["piece", "piece", "more", "end"]


def test_what_was_read_is_not_waited_for() -> None:
    order = happened(reading, piece(b"a", True), piece(b"b", False))
    assert order == ["piece", "piece", "more", "more", "end"]


def test_a_long_request_is_not_read_to_its_end() -> None:
    order = happened(refusing, *[piece(bytes(MOST_BYTES // 2), True)] * 9)
    assert order == ["more", "more", "piece", "piece", "end"]


def test_a_request_that_does_not_come_is_not_waited_for_for_ever() -> None:
    assert happened(refusing, piece(b"a", True))[-1] == "end"


def test_what_is_no_request_stays() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    given: Any = ({"type": "lifespan"}, object(), object())
    asyncio.run(ending_after_request(app)(*given))  # type: ignore[arg-type]
    assert seen == [given]
