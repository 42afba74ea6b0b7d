"""Streamed Messages answers of an upstream, event by event, as deltas.

Events: https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from addon.formats.messages.blocks import input_of
from addon.formats.messages.error_body import failure_of
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
    Words,
    words_of,
)
from addon.formats.tolerant.error_body import error_of
from addon.formats.tolerant.finish import finish_of
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_str, decode_leniently
from addon.formats.wire.run import PROBE, Shape, shape_of
from addon.formats.wire.splice import MalformedJson, scalar_text, value

__all__ = ("MessagesReader",)

_FIELD = "thinking"
"""The name under which reasoning comes."""


class _Delta(msgspec.Struct):
    """An event's `delta`; any member may be of any type."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    signature: Any = None
    partial_json: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None


_NOTHING = _Delta()


class _Event(msgspec.Struct):
    """An event of any kind; any member may be of any type."""

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
    """An open block."""

    kind: str
    number: int
    """Place among the blocks of its kind."""

    start: dict[str, Any]
    """The block of its first event."""

    pieces: list[str]
    """Pieces of a signature or of a hosted tool's input, which go out when the block ends."""

    has_input: bool = False
    """Whether input has come in pieces."""


class MessagesReader:
    """Reads one upstream's stream."""

    def __init__(self) -> None:
        self._open: dict[int, _Block] = {}
        self._counts: dict[str, int] = {}
        self._usage: dict[str, Any] = {}
        self._finished = False
        self.done = False

    def read(self, raw: bytes) -> list[Delta]:
        """The deltas of one raw event; a StreamError for an error and for an unreadable event."""
        data = sse.said_by(raw)
        if not data:
            return []
        event = decode_leniently(_EVENT, data)
        if event is None:
            if _is_unknown(data):
                return []
            return [UNREADABLE]
        if isinstance(event.type, str) and event.type in _STEPS:
            return _STEPS[event.type](self, event)
        if error_of(event.error, event.base_resp) is not None:
            return self._error(event)
        return []

    def shape(self, raw: bytes, delta: Words) -> Shape | None:
        """The shape of the event `raw`, as of any reader."""
        shape = shape_of(raw, words_of(delta))
        if shape is None:
            return None
        event, other = _event(raw), _event(shape.probe)
        if event is None or event.type != "content_block_delta" or event.delta is None:
            return None
        member = _TEXT_OF.get(as_str(event.delta.type), "")
        if member:
            setattr(event.delta, member, PROBE)
        return shape if member and event == other else None

    def _error(self, event: _Event) -> list[Delta]:
        self.done = True
        return [failure_of(event.error, event.base_resp, event.code, event.message)]

    def _message_start(self, event: _Event) -> list[Delta]:
        # Some servers count the prompt at the end only.
        reports = self._usage_reports(as_dict(event.message).get("usage"))
        return [report for report in reports if report.usage.prompt_tokens]

    def _usage_reports(self, usage: Any) -> list[UsageReport]:
        """Counts are totals: later ones replace earlier ones."""
        self._usage |= {key: number for key, number in as_dict(usage).items() if number is not None}
        total = usage_of(self._usage)
        if total is None:
            return []
        return [UsageReport(total)]

    def _block_start(self, event: _Event) -> list[Delta]:
        index, start = _index(event), as_dict(event.content_block)
        before = self._block_stop(event)
        kind = as_str(start.get("type"))
        number = self._counts.get(_KINDS.get(kind, kind), 0)
        self._counts[_KINDS.get(kind, kind)] = number + 1
        self._open[index] = _Block(kind, number, start, [])
        match kind:
            case "text":
                return [*before, *self._text(index, as_str(start.get("text")))]
            case "thinking":
                return [*before, ReasoningDelta(as_str(start.get("thinking")), _FIELD, 0, number)]
            case "redacted_thinking":
                state = OpaqueDelta(as_str(start.get("data")), kind, 0, number)
                return [*before, ReasoningDelta("", _FIELD, 0, number), state]
            case "tool_use":
                return [
                    *before,
                    CallDelta(number, as_str(start.get("id")), as_str(start.get("name"))),
                ]
        return before

    def _block_delta(self, event: _Event) -> list[Delta]:
        delta, index = event.delta or _NOTHING, _index(event)
        match delta.type:
            case "text_delta":
                return self._text(index, as_str(delta.text))
            case "thinking_delta":
                number = self._at(index, "thinking").number
                return [ReasoningDelta(as_str(delta.thinking), _FIELD, 0, number)]
            case "input_json_delta" if piece := as_str(delta.partial_json):
                return self._input(self._at(index, "tool_use"), piece)
            case "signature_delta":
                self._at(index, "thinking").pieces.append(as_str(delta.signature))
        return []

    def _text(self, index: int, piece: str) -> list[Delta]:
        if not piece:
            return []
        return [TextDelta(piece, 0, self._at(index, "text").number)]

    def _input(self, block: _Block, piece: str) -> list[Delta]:
        block.has_input = True
        if block.kind == "tool_use":
            return [CallDelta(block.number, arguments=piece)]
        block.pieces.append(piece)
        return []

    def _at(self, index: int, kind: str) -> _Block:
        """The block that an event adds to; some servers don't announce its start."""
        if index not in self._open:
            self._block_start(_Event(index=index, content_block={"type": kind}))
        return self._open[index]

    def _block_stop(self, event: _Event) -> list[Delta]:
        block = self._open.pop(_index(event), None)
        if block is None:
            return []
        return _last_deltas(block)

    def _close_blocks(self) -> list[Delta]:
        """The last deltas of the blocks that are still open."""
        blocks, self._open = self._open, {}
        return [delta for block in blocks.values() for delta in _last_deltas(block)]

    def _message_delta(self, event: _Event) -> list[Delta]:
        delta = event.delta or _NOTHING
        deltas = self._close_blocks()
        if isinstance(delta.stop_reason, str):
            deltas += self._finish(delta)
        if event.usage:
            deltas += self._usage_reports(event.usage)
        return deltas

    def _finish(self, delta: _Delta) -> list[Delta]:
        if self._finished:
            return []
        self._finished = True
        reason = finish_of(delta.stop_reason, calls="tool_use" in self._counts)
        return [Finish(reason, 0, as_str(delta.stop_sequence))]

    def _message_stop(self, event: _Event) -> list[Delta]:
        self.done = True
        return [*self._close_blocks(), *self._finish(_NOTHING)]


_KINDS = {"redacted_thinking": "thinking"}
"""Kinds that are numbered with another kind."""

_TEXT_OF = {"input_json_delta": "partial_json", "text_delta": "text", "thinking_delta": "thinking"}
"""The member with the text, by the type of a `delta`."""

_STEPS: dict[str, Callable[[MessagesReader, _Event], list[Delta]]] = {
    "content_block_delta": MessagesReader._block_delta,
    "content_block_start": MessagesReader._block_start,
    "content_block_stop": MessagesReader._block_stop,
    "error": MessagesReader._error,
    "message_delta": MessagesReader._message_delta,
    "message_start": MessagesReader._message_start,
    "message_stop": MessagesReader._message_stop,
}


def _last_deltas(block: _Block) -> list[Delta]:
    """The deltas that wait for a block's end."""
    match block.kind:
        case "text" | "redacted_thinking":
            return []
        case "thinking":
            signature = "".join(block.pieces) or as_str(block.start.get("signature"))
            if not signature:
                return []
            return [OpaqueDelta(signature, "signature", 0, block.number)]
        case "tool_use":
            if block.has_input:
                return []
            arguments = scalar_text(as_dict(block.start.get("input"))).decode()
            return [CallDelta(block.number, arguments=arguments)]
    item = block.start
    if block.has_input:
        item = item | {"input": input_of("".join(block.pieces))}
    return [ForeignItem("messages", item)]


def _is_unknown(data: bytes) -> bool:
    """Whether an event is of a type that has no meaning here, whatever its members are."""
    try:
        kind = as_dict(value(data)).get("type")
    except MalformedJson:
        return False
    return isinstance(kind, str) and kind not in _STEPS


def _event(raw: bytes) -> _Event | None:
    return decode_leniently(_EVENT, sse.said_by(raw))


def _index(event: _Event) -> int:
    if isinstance(event.index, int):
        return event.index
    return -1
