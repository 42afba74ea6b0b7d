"""`/doctor`: what the doctor asks through the gateway, for its tokens alone."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from manage_api.access.authentication import PUBLIC
from manage_api.access.callers import AnyRequest, bearer
from manage_api.domains.doctor.stand_in import PACED, Refused, judge, next_turn, pieces
from manage_api.sidecar import Sidecar
from shared.doctor import STAND_IN_PATH, read_token

__all__ = ("PACE_SECONDS", "PIECES", "StandInController")

PACE_SECONDS = 0.3
PIECES = 6
"""Of an answer that takes its time: a proxy that buffers hands them all over at once."""

_EVENTS = "text/event-stream"
_HEADERS = {"Cache-Control": "no-cache"}


class StandInController(Controller):
    """What answers in the place of an upstream, and streams by GET."""

    opt = PUBLIC

    @post(f"{STAND_IN_PATH}/chat/completions", status_code=HTTP_200_OK, include_in_schema=False)
    async def answer(
        self, request: AnyRequest, sidecar: NamedDependency[Sidecar]
    ) -> Response[bytes] | Stream:
        """Answer as an upstream that demands its reasoning back."""
        token, body = _token(request, sidecar), await request.body()
        try:
            states, tools = judge(body, token)
        except Refused as error:
            return Response(_refusal(str(error)), status_code=400, media_type="application/json")
        model = msgspec.json.decode(body)["model"]
        events = pieces(next_turn(states, token, tools=tools), model)
        pause = PACE_SECONDS if model == PACED else 0
        return Stream(_paced(events, pause), media_type=_EVENTS, headers=_HEADERS)

    @get("/doctor/stream", include_in_schema=False)
    async def stream(self, request: AnyRequest, sidecar: NamedDependency[Sidecar]) -> Stream:
        """Stream events that take their time."""
        _token(request, sidecar)
        events = [b"data: {}\n\n"] * PIECES
        return Stream(_paced(events, PACE_SECONDS), media_type=_EVENTS, headers=_HEADERS)


def _token(request: AnyRequest, sidecar: Sidecar) -> str:
    """Return the doctor's token that the caller shows; nobody else finds anything here."""
    token = bearer(request) or ""
    if read_token(token, sidecar.secret, now=sidecar.clock.now_ms() // 1000) is None:
        raise NotFoundException("Only thinkback doctor finds something here.")
    return token


def _refusal(message: str) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "code": "invalid_request_error"}
    return msgspec.json.encode({"error": error})


async def _paced(events: Iterable[bytes], pause: float) -> AsyncIterator[bytes]:
    for event in events:
        yield event
        await asyncio.sleep(pause)
