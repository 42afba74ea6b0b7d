"""A loopback Responses provider in Azure's dress that refuses a call whose reasoning item
did not come back with it.

Shapes: https://platform.openai.com/docs/api-reference/responses; the refusal is OpenAI's
own text.
"""

import json
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.rawhttp import Loopback, Received, Reply, json_reply
from tests.support.turns import Json, Turn, TurnMaker

__all__ = ("StrictResponder",)


_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Items that are calls, and what they are called with."""


class StrictResponder(Loopback):
    """`/responses` on 127.0.0.1; use as a context manager. `version` and `key` are what
    Azure wants to see.
    """

    def __init__(self, *, key: str = "azure-key", version: str = "preview", seed: int = 1) -> None:
        super().__init__()
        self.rejections: list[str] = []
        self.bodies: list[Json] = []
        self.maker = TurnMaker(Random(seed), "unique")
        self._key = key
        self._version = version
        self.issued: list[str] = []
        """The state of every answer."""

        self._states: dict[str, str] = {}
        """Call id -> the state that was issued before it."""

    @property
    def base_url(self) -> str:
        return f"{super().base_url}/openai/v1"

    async def _answer(self, request: Received) -> Reply:
        target = urlsplit(request.target)
        if target.path != "/openai/v1/responses" or parse_qs(target.query).get("api-version") != [
            self._version
        ]:
            return self._refuse(404, f"Resource not found: {request.target}")
        if request.header("api-key") != self._key or request.header("authorization"):
            return self._refuse(401, "Access denied due to invalid subscription key.")
        body = json.loads(request.body)
        if fault := self._fault(body["input"]):
            return self._refuse(400, fault)
        self.bodies.append(body)
        turn = self.maker.make({"messages": [], "tools": body.get("tools", []), **body})
        items = self._items(
            turn, {tool["name"] for tool in body.get("tools", ()) if tool["type"] == "custom"}
        )
        response = {
            "id": f"resp_{len(self.bodies)}",
            "object": "response",
            "created_at": 1_760_000_000,
            "status": "completed",
            "model": body["model"],
            "output": items,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": body.get("tools", []),
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 20,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 70,
            },
        }
        return (
            _streamed(response) if body.get("stream") else json_reply(json.dumps(response).encode())
        )

    def _refuse(self, status: int, message: str) -> Reply:
        self.rejections.append(message)
        error = {
            "message": message,
            "type": "invalid_request_error",
            "code": None,
            "param": "input",
        }
        return json_reply(json.dumps({"error": error}).encode(), status)

    def _fault(self, items: list[Json]) -> str:
        """What is wrong with the replayed items, in OpenAI's words; empty when nothing is."""
        state = ""
        for item in items:
            kind = item.get("type", "message")
            if kind == "reasoning":
                state = item.get("encrypted_content") or ""
            elif kind in _CALLS:
                wanted = self._states.get(item["call_id"])
                if wanted is None:
                    return f"No such call: {item['call_id']}"
                if wanted != state:
                    return (
                        f"Item of type '{kind}' was provided without its required 'reasoning' item."
                    )
            elif kind == "message":
                state = state if item.get("role") == "assistant" else ""
        return ""

    def _items(self, turn: Turn, custom: set[str]) -> list[Json]:
        """The items of a turn; calls of `custom` tools hold text instead of arguments."""
        number = len(self.bodies)
        state = f"gAAAA-{number}-" + "".join(self.maker.rng.choices("abcdef0123456789", k=24))
        self.issued.append(state)
        items: list[Json] = [
            {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": state}
        ]
        if turn.text:
            content = [{"type": "output_text", "text": turn.text, "annotations": []}]
            item = {
                "type": "message",
                "id": f"msg_{number}",
                "role": "assistant",
                "status": "completed",
            }
            items.append({**item, "content": content})
        for at, call in enumerate(turn.calls):
            self._states[call_id := f"call_{number}_{at}"] = state
            kind = "custom_tool_call" if call.name in custom else "function_call"
            said = {
                "call_id": call_id,
                "name": call.name,
                _CALLS[kind]: call.arguments,
                "status": "completed",
            }
            items.append({"type": kind, "id": f"fc_{number}_{at}", **said})
        return items


def _streamed(response: Json) -> Reply:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    events = [
        _event("response.created", response=begun),
        _event("response.in_progress", response=begun),
    ]
    for at, item in enumerate(response["output"]):
        events += _item_events(at, item)
    events.append(_event("response.completed", response=response))
    pieces = [_numbered(number, event) for number, event in enumerate(events)]
    return Reply(headers=[("content-type", "text/event-stream")], pieces=pieces, framing="chunked")


def _item_events(at: int, item: Json) -> list[Json]:
    member = _CALLS.get(item["type"], "content")
    bare = {**item, member: [] if member == "content" else ""}
    where: Json = {"output_index": at, "item_id": item["id"]}
    begun = item if item["type"] == "reasoning" else bare
    pieces = [_event("response.output_item.added", item=begun, output_index=at)]
    if item["type"] == "message":
        text = item["content"][0]["text"]
        middle = len(text) // 2
        halves = [text[:middle], text[middle:]]
        [part] = item["content"]
        where["content_index"] = 0
        pieces.append(_event("response.content_part.added", part={**part, "text": ""}, **where))
        pieces += [
            _event("response.output_text.delta", delta=half, logprobs=[], **where)
            for half in halves
        ]
        pieces.append(_event("response.output_text.done", text=text, logprobs=[], **where))
        pieces.append(_event("response.content_part.done", part=part, **where))
    elif item["type"] in _CALLS:
        kind = f"response.{item['type']}_{member}"
        pieces.append(_event(f"{kind}.delta", delta=item[member], **where))
        pieces.append(_event(f"{kind}.done", **{member: item[member]}, **where))
    return [*pieces, _event("response.output_item.done", item=item, output_index=at)]


def _event(kind: str, **members: Any) -> Json:
    return {"type": kind, **members}


def _numbered(number: int, event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode()
