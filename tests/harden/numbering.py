"""An upstream of the three formats that numbers its answers: who has got which request through
can be told by what they have heard.
"""

import asyncio
import json
import re
import socket
from collections.abc import Callable, Iterable

__all__ = ("HEARD", "MODELS", "NumberingUpstream")

HEARD = re.compile(rb"heard-(\d+)-")
"""What it says to a client."""

MODELS = {"chat": "c", "responses": "r", "messages": "m"}
"""Its model of each format."""

PATHS = {
    b"/v1/chat/completions": "chat",
    b"/v1/responses": "responses",
    b"/v1/messages": "messages",
    b"/v1/messages/count_tokens": "count",
    b"/v1/responses/input_tokens": "count",
}

_HEAD = re.compile(
    rb"POST (/[!-~]*) HTTP/1\.1\r\n((?:[\w!#$%&'*+.^`|~-]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)+)\r\n"
)
_LENGTH = re.compile(rb"(?im)^content-length: (\d+)\r$")
_OTHER_FRAMING = re.compile(rb"(?im)^(?:transfer-encoding|expect|trailer|upgrade)\s*:")

type _Json = dict[str, object]


class NumberingUpstream:
    """Takes only what can be read in one way; what else comes is `strange`."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = 0
        """Requests that came, but for those that only count tokens; the last one's number."""

        self.strange: list[bytes] = []
        self._server: asyncio.Server | None = None

    def config(self) -> str:
        """The `[[upstreams]]` of a gateway, one for each format."""
        return "".join(
            f'[[upstreams]]\nname = "{api}"\nbase_url = "{self.base_url}/v1"\napi = "{api}"\n'
            f'api_keys = ["sk-good"]\nmodels = ["{model}"]\n'
            for api, model in MODELS.items()
        )

    async def serve(self) -> None:
        """Answer from now on, on the loop that runs."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self), sock=self._socket)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._socket.close()

    def answer(self, path: bytes, body: bytes) -> bytes:
        """What one request gets."""
        kind = PATHS.get(path.partition(b"?")[0], "")
        try:
            asked = json.loads(body, strict=False)
        except ValueError:
            self.strange.append(body)
            return _whole({"error": {"message": "no JSON"}}, b"400 Bad Request")
        if kind == "count":
            return _whole({"object": "response.input_tokens", "input_tokens": 1})
        self.asked += 1
        streamed = isinstance(asked, dict) and asked.get("stream") is True
        said = f"heard-{self.asked}-"
        if streamed:
            return _stream(_STREAMED[kind](said))
        return _whole(_ANSWERS[kind](said))


class _Line(asyncio.Protocol):
    """One connection of the gateway's."""

    def __init__(self, upstream: NumberingUpstream) -> None:
        self._upstream = upstream
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received and self._take():
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        if self._received:
            self._upstream.strange.append(self._received)

    def _take(self) -> bool:
        """Answer the first request that has come, if all of it has."""
        head = _HEAD.match(self._received)
        lengths = _LENGTH.findall(head[2]) if head else []
        if head is None or len(lengths) != 1 or _OTHER_FRAMING.search(head[2]):
            self._transport.close()
            return False
        end = head.end() + int(lengths[0])
        if len(self._received) < end:
            return False
        body, self._received = self._received[head.end() : end], self._received[end:]
        self._transport.write(self._upstream.answer(head[1], body))
        return True


def _whole(answer: _Json, status: bytes = b"200 OK") -> bytes:
    body = json.dumps(answer).encode()
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _stream(events: Iterable[_Json]) -> bytes:
    body = b"".join(map(_event, events))
    if b"event: " not in body:
        body += b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def _event(event: _Json) -> bytes:
    data = f"data: {json.dumps(event)}\n\n"
    if "type" in event:
        data = f"event: {event['type']}\n{data}"
    return data.encode()


# -- what each format says -------------------------------------------------------------------------


def _chat(said: str) -> _Json:
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "x", "model": "c", "choices": [choice], "usage": usage}


def _chat_events(said: str) -> list[_Json]:
    delta = {"index": 0, "delta": {"role": "assistant", "content": said}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return [{"id": "x", "model": "c", "choices": [choice]} for choice in (delta, end)]


def _response(said: str) -> _Json:
    part = {"type": "output_text", "text": said, "annotations": []}
    item = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "model": "r",
        "status": "completed",
        "output": [item],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }


def _response_events(said: str) -> list[_Json]:
    whole = _response(said)
    empty = whole | {"status": "in_progress", "output": []}
    item: _Json = whole["output"][0]  # type: ignore[index]
    part: _Json = item["content"][0]  # type: ignore[index]
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[_Json] = [
        {"type": "response.created", "response": empty},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.content_part.added", **at, "part": part | {"text": ""}},
        {"type": "response.output_text.delta", **at, "delta": said},
        {"type": "response.output_text.done", **at, "text": said},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [event | {"sequence_number": at} for at, event in enumerate(events)]


def _message(said: str) -> _Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": said}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _message_events(said: str) -> list[_Json]:
    begun = _message(said) | {"content": [], "stop_reason": None}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": said},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


_ANSWERS: dict[str, Callable[[str], _Json]] = {
    "chat": _chat,
    "responses": _response,
    "messages": _message,
}
_STREAMED: dict[str, Callable[[str], list[_Json]]] = {
    "chat": _chat_events,
    "responses": _response_events,
    "messages": _message_events,
}
