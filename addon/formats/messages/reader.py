"""Streamed Messages answers of an upstream, event by event, as deltas.

Events: https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from addon.formats.messages.blocks import input_of
from addon.formats.messages.error_body import failure_of
from addon.formats.messages.response import finish_of
from addon.formats.messages.usage import usage_of
from addon.formats.neutral.deltas import (
    UNREADABLE,
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    UsageReport,
)
from addon.formats.tolerant.error_body import error_of
from addon.formats.wire import sse
from addon.formats.wire.lenient import decoded, record, text
from addon.formats.wire.splice import MalformedJson, scalar_text, value

__all__ = ("MessagesReader",)

_FIELD = "thinking"


class _Delta(msgspec.Struct):
    """What an event adds; anything may be of any type."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    signature: Any = None
    partial_json: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None


_NOTHING = _Delta()


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    delta: _Delta | None = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None
    base_resp: Any = None
    code: Any = None


_EVENT = msgspec.json.Decoder(_Event)


class _Block(msgspec.Struct):
    """A block that has begun."""

    kind: str
    number: int
    """Place among the blocks of its kind."""

    begun: dict[str, Any]
    pieces: list[str]
    """What is told when it ends: a signature, or the input of a tool that the upstream runs."""

    said: bool = False


class MessagesReader:
    """Reads one upstream's stream."""

    def __init__(self) -> None:
        self._open: dict[int, _Block] = {}
        self._counts: dict[str, int] = {}
        self._usage: dict[str, Any] = {}
        self._finished = False
        self.done = False

    def read(self, raw: bytes) -> list[Delta]:
        """The deltas of one raw event; a StreamError when it reports one or can't be read."""
        data = sse.said_by(raw)
        if not data:
            return []
        event = decoded(_EVENT, data)
        if event is None:
            return [] if _is_unknown(data) else [UNREADABLE]
        step = _STEPS.get(event.type) if isinstance(event.type, str) else None
        if step is not None:
            return step(self, event)
        return self._failed(event) if error_of(event.error, event.base_resp) else []

    def _failed(self, event: _Event) -> list[Delta]:
        self.done = True
        return [failure_of(event.error, event.base_resp, event.code, event.message)]

    def _started(self, event: _Event) -> list[Delta]:
        """What the prompt counts is known from the beginning, by some servers at the end only."""
        counted = self._counted(record(event.message).get("usage"))
        return [report for report in counted if report.usage.prompt_tokens]

    def _counted(self, usage: Any) -> list[UsageReport]:
        """Counts are totals: later ones replace earlier ones."""
        self._usage |= {key: kept for key, kept in record(usage).items() if kept is not None}
        counted = usage_of(self._usage)
        return [UsageReport(counted)] if counted else []

    def _begun(self, event: _Event) -> list[Delta]:
        index, begun = _index(event), record(event.content_block)
        before = self._ended(event)
        kind = text(begun.get("type"))
        number = self._counts.get(_KINDS.get(kind, kind), 0)
        self._counts[_KINDS.get(kind, kind)] = number + 1
        self._open[index] = _Block(kind, number, begun, [])
        match kind:
            case "text":
                return [*before, *self._text(index, text(begun.get("text")))]
            case "thinking":
                return [*before, ReasoningDelta(text(begun.get("thinking")), _FIELD, 0, number)]
            case "redacted_thinking":
                state = OpaqueDelta(text(begun.get("data")), kind, 0, number)
                return [*before, ReasoningDelta("", _FIELD, 0, number), state]
            case "tool_use":
                return [*before, CallDelta(number, text(begun.get("id")), text(begun.get("name")))]
        return before

    def _added(self, event: _Event) -> list[Delta]:
        delta, index = event.delta or _NOTHING, _index(event)
        match delta.type:
            case "text_delta":
                return self._text(index, text(delta.text))
            case "thinking_delta":
                return [
                    ReasoningDelta(
                        text(delta.thinking), _FIELD, 0, self._at(index, "thinking").number
                    )
                ]
            case "input_json_delta" if piece := text(delta.partial_json):
                return self._input(self._at(index, "tool_use"), piece)
            case "signature_delta":
                self._at(index, "thinking").pieces.append(text(delta.signature))
        return []

    def _text(self, index: int, said: str) -> list[Delta]:
        return [TextDelta(said, 0, self._at(index, "text").number)] if said else []

    def _input(self, block: _Block, piece: str) -> list[Delta]:
        block.said = True
        if block.kind == "tool_use":
            return [CallDelta(block.number, arguments=piece)]
        block.pieces.append(piece)
        return []

    def _at(self, index: int, kind: str) -> _Block:
        """The block that an event adds to; some servers don't say that one begins."""
        if index not in self._open:
            self._begun(_Event(index=index, content_block={"type": kind}))
        return self._open[index]

    def _ended(self, event: _Event) -> list[Delta]:
        block = self._open.pop(_index(event), None)
        return _rest_of(block) if block else []

    def _closed(self) -> list[Delta]:
        """What is left of the blocks whose end was not told."""
        blocks, self._open = self._open, {}
        return [delta for block in blocks.values() for delta in _rest_of(block)]

    def _told_why(self, event: _Event) -> list[Delta]:
        delta = event.delta or _NOTHING
        finish = self._finish(delta) if isinstance(delta.stop_reason, str) else []
        return [*self._closed(), *finish, *(self._counted(event.usage) if event.usage else [])]

    def _finish(self, delta: _Delta) -> list[Delta]:
        if self._finished:
            return []
        self._finished = True
        reason = finish_of(delta.stop_reason, calls="tool_use" in self._counts)
        return [Finish(reason, 0, text(delta.stop_sequence))]

    def _stopped(self, event: _Event) -> list[Delta]:
        self.done = True
        return [*self._closed(), *self._finish(_NOTHING)]


_KINDS = {"redacted_thinking": "thinking"}
"""What is numbered with another kind."""

_STEPS: dict[str, Callable[[MessagesReader, _Event], list[Delta]]] = {
    "content_block_delta": MessagesReader._added,
    "content_block_start": MessagesReader._begun,
    "content_block_stop": MessagesReader._ended,
    "error": MessagesReader._failed,
    "message_delta": MessagesReader._told_why,
    "message_start": MessagesReader._started,
    "message_stop": MessagesReader._stopped,
}


def _rest_of(block: _Block) -> list[Delta]:
    """What is known of a block when it ends."""
    match block.kind:
        case "text" | "redacted_thinking":
            return []
        case "thinking":
            signature = "".join(block.pieces) or text(block.begun.get("signature"))
            return [OpaqueDelta(signature, "signature", 0, block.number)] if signature else []
        case "tool_use":
            whole = scalar_text(record(block.begun.get("input"))).decode()
            return [] if block.said else [CallDelta(block.number, arguments=whole)]
    item = block.begun | ({"input": input_of("".join(block.pieces))} if block.said else {})
    return [ForeignItem("messages", item)]


def _is_unknown(data: bytes) -> bool:
    """Whether an event is of a type that says nothing here, whatever its members are."""
    try:
        kind = record(value(data)).get("type")
    except MalformedJson:
        return False
    return isinstance(kind, str) and kind not in _STEPS


def _index(event: _Event) -> int:
    return event.index if isinstance(event.index, int) else -1
