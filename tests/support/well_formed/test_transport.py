"""The SDKs' transport checks what they are streamed."""

import httpx2 as httpx
import pytest

from tests.support.rawhttp import Loopback, Received, Reply
from tests.support.test_grammar import stream
from tests.support.well_formed.transport import Checking

PATHS = {
    "/v1/chat/completions": stream("chat"),
    "/v1/responses": stream("responses"),
    "/v1/messages": stream("messages"),
}


class Telling(Loopback):
    """Answers each path with its stream, or with one that is broken."""

    broken = False

    async def _answer(self, request: Received) -> Reply:
        body = PATHS[request.target]
        if self.broken:
            body = body.replace(b'"index":1', b'"index":3').replace(b"_index", b"_inde")
        headers = [("content-type", "text/event-stream")]
        return Reply(headers=headers, pieces=[body[:100], body[100:]], framing="chunked")


@pytest.mark.parametrize("path", PATHS)
def test_what_is_streamed_is_checked(path: str) -> None:
    with Telling() as telling, httpx.Client(transport=Checking()) as client:
        url = telling.base_url.removesuffix("/v1") + path
        assert client.post(url, json={}).content == PATHS[path]
        telling.broken = True
        with pytest.raises((AssertionError, KeyError, ValueError)):
            client.post(url, json={})
