"""Streams of Messages: https://platform.claude.com/docs/en/build-with-claude/streaming."""

import json
from typing import Any

from anthropic._models import construct_type
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import ContentBlock, Message, RawMessageStreamEvent
from jiter import from_json

from tests.support.turns import Json
from tests.support.well_formed.events import by_type, matches, strictly, told

__all__ = ("check_messages",)

_EVENTS = by_type(RawMessageStreamEvent)
_BLOCKS = by_type(ContentBlock)
_DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("", "partial_json"),
    "citations_delta": ("text", "citation"),
}
"""The block that takes a delta (empty: a call of any kind), and the delta's member."""


def check_messages(stream: bytes) -> Json:
    """The message that the stream makes."""
    found = [(name, json.loads(data)) for name, data in told(stream) if data != "[DONE]"]
    assert all(name == event["type"] for name, event in found), "the SDK goes by the names"
    events = [event for name, event in found if name in _EVENTS]
    for event in events:
        _read(event)
    kinds = [event["type"] for event in events]
    assert [at for at, kind in enumerate(kinds) if kind == "message_start"] == [0]
    assert kinds.index("message_stop") == len(kinds) - 1, "a message ends once"
    message = _message(events)
    strictly(Message, message | {"content": _known(message["content"])})
    matches(_snapshot(events), message, "id", "model", "content", "stop_reason", "usage")
    return message


def _read(event: Json) -> None:
    """The SDK's model reads the event, but for blocks that nobody knows."""
    block = event.get("content_block")
    if event["type"] == "message_start":
        assert (event["message"]["content"], event["message"]["stop_reason"]) == ([], None)
    if block is None or block.get("type") in _BLOCKS:
        strictly(_EVENTS[event["type"]], event)


def _known(content: list[Json]) -> list[Json]:
    return [block for block in content if block.get("type") in _BLOCKS]


def _message(events: list[Json]) -> Json:
    message = dict(events[0]["message"])
    blocks: list[_Block] = []
    for event in events[1:-1]:
        assert not message["stop_reason"] or event["type"] == "message_delta", "after the end"
        if event["type"] == "message_delta":
            assert all(block.done for block in blocks), "a block without an end"
            message |= event["delta"]
            counts = {name: count for name, count in event["usage"].items() if count is not None}
            message["usage"] = message["usage"] | counts
        elif event["type"] == "content_block_start":
            assert event["index"] == len(blocks), "blocks are numbered as they come"
            assert all(block.done for block in blocks), "one block is open at a time"
            blocks.append(_Block(event["content_block"]))
        else:
            assert event["index"] == len(blocks) - 1, "the event is of no open block"
            blocks[-1].take(event)
    assert message["stop_reason"], "nobody says why the message ended"
    cut = message["stop_reason"] == "max_tokens"
    return message | {"content": [block.whole(cut=cut) for block in blocks]}


class _Block:
    """A content block, made of its events alone."""

    def __init__(self, block: Json) -> None:
        self._block = dict(block)
        self._json = ""
        self.done = False
        if block["type"] == "tool_use":
            assert block["id"], "a call without an id"
            assert block["name"], "a call without a name"

    def take(self, event: Json) -> None:
        """Take one event of the block."""
        assert not self.done, "the block is done"
        if event["type"] == "content_block_stop":
            self.done = True
            return
        delta = event["delta"]
        kind, member = _DELTAS.get(delta["type"], ("", ""))
        assert kind in ("", self._block["type"]), "a delta of another kind of block"
        if delta["type"] == "input_json_delta":
            assert "input" in self._block, "input of no call"
            self._json += delta[member]
        elif delta["type"] == "citations_delta":
            self._block["citations"] = [*(self._block.get("citations") or ()), delta[member]]
        elif member:
            assert not self._block.get("signature"), "a signature comes last, and once"
            self._block[member] += delta[member]

    def whole(self, *, cut: bool) -> Json:
        """The block as a whole answer has it; the input of a `cut` one may lack its end."""
        assert self.done, "a block without an end"
        if self._json:
            self._block["input"] = from_json(self._json.encode(), partial_mode=cut)
            assert isinstance(self._block["input"], dict)
        return self._block


def _snapshot(events: list[Json]) -> Any:
    """What the SDK makes of the stream."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events:
        model: Any = construct_type(type_=RawMessageStreamEvent, value=event)
        snapshot = accumulate_event(event=model, current_snapshot=snapshot, json_bufs=buffers)
    return snapshot
