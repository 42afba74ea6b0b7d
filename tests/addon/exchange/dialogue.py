"""A client's conversation over exchanges, in each of the three formats: what it keeps of the
answers, and what upstreams get of that.
"""

import json
from typing import Any

from addon.exchange.exchange import Exchange
from tests.addon.desk import Desk, open_exchange, reply_of
from tests.addon.recall.chat import Json

__all__ = ("PATHS", "Dialogue", "calls_of", "sent")

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
_PARAMETERS = {"type": "object"}
_TOOLS: dict[str, Json] = {
    "chat": {"type": "function", "function": {"name": "Read", "parameters": _PARAMETERS}},
    "responses": {"type": "function", "name": "Read", "parameters": _PARAMETERS},
    "messages": {"name": "Read", "input_schema": _PARAMETERS},
}
_THOUGHTS = ("thinking", "redacted_thinking")
_IDS = ("id", "call_id", "tool_call_id", "tool_use_id")


class Dialogue:
    """The client keeps all that it gets in `items`, to be altered at will."""

    def __init__(
        self, desk: Desk, wire_format: str, prompt: str = "Fix it.", *, model: str = "m"
    ) -> None:
        self._desk = desk
        self._format = wire_format
        self.model = model
        self.items: list[Json] = []
        self.say(prompt)

    def move(self, desk: Desk) -> None:
        """Another process takes the requests from now on."""
        self._desk = desk

    def say(self, text: str) -> None:
        """The user says something."""
        self.items.append({"role": "user", "content": text})

    def open(self) -> Exchange:
        """An exchange of the conversation as it stands."""
        body: Json = {"model": self.model, "tools": [_TOOLS[self._format]]}
        if self._format == "responses":
            body |= {"input": self.items, "include": ["reasoning.encrypted_content"]}
        else:
            body["messages"] = self.items
        if self._format == "messages":
            body |= {"max_tokens": 9000, "thinking": {"type": "adaptive"}}
        intake = self._desk.intake(path=PATHS[self._format])
        return open_exchange(intake, json.dumps(body).encode())

    def hear(self, exchange: Exchange, answer: bytes) -> list[Json]:
        """The upstream answers whole: the items that the client keeps, before the results
        of the calls.
        """
        reply = reply_of(exchange.whole(200, {"content-type": "application/json"}, answer))
        kept = self._kept(json.loads(reply.body))
        self.items += [*kept, *self._results(kept)]
        return kept

    def _kept(self, said: Json) -> list[Json]:
        match self._format:
            case "chat":
                return [said["choices"][0]["message"]]
            case "responses":
                return list(said["output"])
        return [{"role": "assistant", "content": said["content"]}]

    def _results(self, kept: list[Json]) -> list[Json]:
        ids = [call.get("call_id", call["id"]) for call in calls_of(kept)]
        match self._format:
            case "chat":
                return [{"role": "tool", "tool_call_id": one, "content": "fine"} for one in ids]
            case "responses":
                kind = "function_call_output"
                return [{"type": kind, "call_id": one, "output": "fine"} for one in ids]
        blocks = [{"type": "tool_result", "tool_use_id": one, "content": "fine"} for one in ids]
        return [{"role": "user", "content": blocks}] if blocks else []

    def forget_reasoning(self) -> None:
        """The client drops all reasoning."""
        self.items = [item for item in self.items if item.get("type") != "reasoning"]
        for item in self.items:
            for name in [name for name in item if name.startswith("reasoning")]:
                del item[name]
            for call in item.get("tool_calls") or ():
                call.pop("extra_content", None)
            if blocks := _blocks(item):
                item["content"] = [block for block in blocks if block["type"] not in _THOUGHTS]

    def split(self) -> None:
        """The client replays a turn of text and calls as two messages; Responses has its items
        apart anyway.
        """
        self.items = [part for item in self.items for part in _split(item)]

    def replace_ids(self, call_id: str) -> None:
        """The client has one id of its own for all calls."""
        for item in self.items:
            for holder in (item, *item.get("tool_calls", ()), *_blocks(item)):
                for name in _IDS:
                    if name in holder and holder.get("type") not in ("reasoning", "message"):
                        holder[name] = call_id


def calls_of(items: list[Json]) -> list[Json]:
    """The calls of messages, items or blocks."""
    found: list[Json] = []
    for item in items:
        if item.get("type") == "function_call":
            found.append(item)
        found += item.get("tool_calls") or ()
        found += [block for block in _blocks(item) if block["type"] == "tool_use"]
    return found


def _split(item: Json) -> list[Json]:
    if item.get("tool_calls") and item.get("content"):
        reasoning = {name: kept for name, kept in item.items() if name != "tool_calls"}
        return [reasoning, {"role": "assistant", "tool_calls": item["tool_calls"]}]
    calls = calls_of([item])
    if item.get("role") != "assistant" or not calls or not _blocks(item):
        return [item]
    rest = [block for block in item["content"] if block not in calls]
    if not rest:
        return [item]
    return [{**item, "content": rest}, {**item, "content": calls}]


def _blocks(item: Json) -> list[Json]:
    content: Any = item.get("content")
    return (
        [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    )


def sent(exchange: Exchange) -> Json:
    """What the upstream gets."""
    found: Json = json.loads(exchange.outgoing.body)
    return found
