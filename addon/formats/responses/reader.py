"""Streamed Responses answers of an upstream, event by event, as deltas.

Events: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from addon.formats.neutral.deltas import (
    UNREADABLE,
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    UsageReport,
    Words,
    words_of,
)
from addon.formats.neutral.turn import SUMMARY, Foreign, Part, Reasoning, Refusal, Text, ToolCall
from addon.formats.responses.error_body import failure_of
from addon.formats.responses.response import finish_of, parts_made
from addon.formats.responses.usage import usage_of
from addon.formats.tolerant.items import call_of
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_str, decode_leniently, dicts_in
from addon.formats.wire.run import PROBE, Shape, shape_of

__all__ = ("ResponsesReader",)


class _Event(msgspec.Struct):
    """An event of any kind; any member may be of any type."""

    type: Any = None
    delta: Any = None
    output_index: Any = None
    summary_index: Any = None
    item: Any = None
    response: Any = None
    error: Any = None
    code: Any = None
    message: Any = None


_EVENT = msgspec.json.Decoder(_Event)


class _Open(msgspec.Struct):
    """An output item that has been announced."""

    kind: str
    number: int
    """Place among the items that share its numbering: calls, thoughts, messages."""

    has_streamed: bool = False
    """Whether any of its text has been streamed."""

    has_name: bool = False
    """Whether the call's id and name have been read."""

    custom: bool = False
    done: bool = False


class ResponsesReader:
    """Reads one upstream's stream."""

    def __init__(self) -> None:
        self._items: dict[int, _Open] = {}
        self._counts: dict[str, int] = {}
        self.done = False

    def read(self, raw: bytes) -> list[Delta]:
        """The deltas of one raw event; a StreamError for an error and for an unreadable event."""
        return self.read_data(sse.said_by(raw))

    def read_data(self, data: bytes) -> list[Delta]:
        """The deltas of one event with this data."""
        if not data:
            return []
        event = decode_leniently(_EVENT, data)
        if event is None:
            return [UNREADABLE]
        return self._step(event)

    def shape(self, raw: bytes, delta: Words) -> Shape | None:
        """The shape of the event `raw`, as of any reader."""
        shape = shape_of(raw, words_of(delta))
        if shape is None:
            return None
        event, other = _event(raw), _event(shape.probe)
        if event is None:
            return None
        event.delta = PROBE
        return shape if event == other else None

    def _step(self, event: _Event) -> list[Delta]:
        if isinstance(event.type, str) and event.type in _STEPS:
            return _STEPS[event.type](self, event)
        if event.type is None and (event.error or event.code):
            return [failure_of(event.error, event.code, event.message)]
        return []

    def _text(self, event: _Event) -> list[Delta]:
        return [TextDelta(as_str(event.delta), 0, self._at(event, "message").number)]

    def _refusal(self, event: _Event) -> list[Delta]:
        return [RefusalDelta(as_str(event.delta), 0, self._at(event, "message").number)]

    def _arguments(self, event: _Event) -> list[Delta]:
        custom = event.type != "response.function_call_arguments.delta"
        item = self._at(event, "call", custom=custom)
        return [CallDelta(item.number, arguments=as_str(event.delta), custom=item.custom)]

    def _summary(self, event: _Event) -> list[Delta]:
        return [
            ReasoningDelta(as_str(event.delta), SUMMARY, 0, self._at(event, "reasoning").number)
        ]

    def _reasoning_text(self, event: _Event) -> list[Delta]:
        number = self._at(event, "reasoning").number
        return [ReasoningDelta(as_str(event.delta), "reasoning_text", 0, number)]

    def _error(self, event: _Event) -> list[Delta]:
        self.done = True
        error = event.error or as_dict(event.response).get("error")
        return [failure_of(error, event.code, event.message)]

    def _at(self, event: _Event, kind: str, *, custom: bool = False) -> _Open:
        """The item that the event adds to."""
        item = self._items.get(_index(event)) or self._begin(_index(event), kind, custom=custom)
        item.has_streamed = True
        return item

    def _begin(self, index: int, kind: str, *, custom: bool = False) -> _Open:
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        item = _Open(kind, number, custom=custom)
        self._items[index] = item
        return item

    def _summary_part(self, event: _Event) -> list[Delta]:
        """The parts of a summary are paragraphs."""
        if not event.summary_index:
            return []
        return [ReasoningDelta("\n\n", SUMMARY, 0, self._at(event, "reasoning").number)]

    def _item_added(self, event: _Event) -> list[Delta]:
        item, index = as_dict(event.item), _index(event)
        if index in self._items:
            return []
        match item.get("type"):
            case "reasoning":
                return [ReasoningDelta("", SUMMARY, 0, self._begin(index, "reasoning").number)]
            case "message":
                self._begin(index, "message")
        call = call_of(item)
        if call is None:
            return []
        opened = self._begin(index, "call", custom=call.custom)
        opened.has_name = True
        return [CallDelta(opened.number, call.id, call.name, custom=call.custom)]

    def _item_done(self, event: _Event) -> list[Delta]:
        """The deltas of what has not been streamed; some servers stream nothing of an item."""
        item, index = as_dict(event.item), _index(event)
        open_item = self._items.get(index)
        deltas: list[Delta] = []
        if open_item is None:
            deltas += self._item_added(event)
            open_item = self._items.get(index) or self._begin(index, "foreign")
        if open_item.done:
            return deltas
        open_item.done = True
        for part in parts_made(item):
            deltas += _rest_of(part, open_item)
        return deltas

    def _end(self, event: _Event) -> list[Delta]:
        self.done, response = True, as_dict(event.response)
        deltas: list[Delta] = []
        for index, item in enumerate(dicts_in(response.get("output"))):
            if index not in self._items or not self._items[index].done:
                deltas += self._item_done(_Event(item=item, output_index=index))
        deltas.append(Finish(finish_of(response, calls="call" in self._counts)))
        usage = usage_of(response.get("usage"))
        if usage is not None:
            deltas.append(UsageReport(usage))
        return deltas


_STEPS: dict[str, Callable[[ResponsesReader, _Event], list[Delta]]] = {
    "error": ResponsesReader._error,
    "response.cancelled": ResponsesReader._error,
    "response.completed": ResponsesReader._end,
    "response.custom_tool_call_input.delta": ResponsesReader._arguments,
    "response.failed": ResponsesReader._error,
    "response.function_call_arguments.delta": ResponsesReader._arguments,
    "response.incomplete": ResponsesReader._end,
    "response.output_item.added": ResponsesReader._item_added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.output_text.delta": ResponsesReader._text,
    "response.reasoning_summary_part.added": ResponsesReader._summary_part,
    "response.reasoning_summary_text.delta": ResponsesReader._summary,
    "response.reasoning_text.delta": ResponsesReader._reasoning_text,
    "response.refusal.delta": ResponsesReader._refusal,
}


def _rest_of(part: Part, item: _Open) -> list[Delta]:
    """The deltas of a done item's part, but for the streamed ones."""
    match part:
        case Reasoning():
            return _rest_of_thought(part, item)
        case ToolCall() if not (item.has_streamed and item.has_name):
            call_id, name, arguments = part.id, part.name, part.arguments
            if item.has_name:
                call_id, name = "", ""
            if item.has_streamed:
                arguments = ""
            return [CallDelta(item.number, call_id, name, arguments, 0, part.custom)]
        case Text() if not item.has_streamed:
            return [TextDelta(part.text, 0, item.number)]
        case Refusal() if not item.has_streamed:
            return [RefusalDelta(part.text, 0, item.number)]
        case Foreign():
            return [ForeignItem(part.wire_format, part.item)]
    return []


def _rest_of_thought(thought: Reasoning, item: _Open) -> list[Delta]:
    deltas: list[Delta] = []
    if not item.has_streamed:
        deltas.append(ReasoningDelta(thought.text, thought.field, 0, item.number))
    if thought.opaque:
        state = OpaqueDelta(thought.opaque, thought.carrier, 0, item.number, thought.id)
        deltas.append(state)
    return deltas


def _event(raw: bytes) -> _Event | None:
    return decode_leniently(_EVENT, sse.said_by(raw))


def _index(event: _Event) -> int:
    if isinstance(event.output_index, int):
        return event.output_index
    return -1
