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
)
from addon.formats.neutral.turn import SUMMARY, Foreign, Reasoning, Refusal, Text, ToolCall
from addon.formats.responses.error_body import failure_of
from addon.formats.responses.response import finish_of
from addon.formats.responses.usage import usage_of
from addon.formats.tolerant.items import item_parts
from addon.formats.wire import sse
from addon.formats.wire.lenient import decoded, objects, record, text

__all__ = ("ResponsesReader",)


class _Event(msgspec.Struct):
    """An event as it comes; anything may be of any type."""

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
    """An output item that has begun."""

    kind: str
    number: int
    """Place among the items that share its numbering: calls, thoughts, messages."""

    said: bool = False
    """Whether any of its text has been streamed."""

    named: bool = False
    """Whether the call's id and name have been told."""

    custom: bool = False
    done: bool = False


class ResponsesReader:
    """Reads one upstream's stream."""

    def __init__(self) -> None:
        self._items: dict[int, _Open] = {}
        self._counts: dict[str, int] = {}
        self.done = False

    def read(self, raw: bytes) -> list[Delta]:
        """The deltas of one raw event; a StreamError when it reports one or can't be read."""
        return self.read_data(sse.said_by(raw))

    def read_data(self, data: bytes) -> list[Delta]:
        """The deltas of one event with this data."""
        if not data:
            return []
        event = decoded(_EVENT, data)
        if event is None:
            return [UNREADABLE]
        return self._step(event)

    def _step(self, event: _Event) -> list[Delta]:
        step = _STEPS.get(event.type) if isinstance(event.type, str) else None
        if step is not None:
            return step(self, event)
        reported = event.type is None and (event.error or event.code)
        return [failure_of(event.error, event.code, event.message)] if reported else []

    def _text(self, event: _Event) -> list[Delta]:
        return [TextDelta(text(event.delta), 0, self._at(event, "message").number)]

    def _refusal(self, event: _Event) -> list[Delta]:
        return [RefusalDelta(text(event.delta), 0, self._at(event, "message").number)]

    def _arguments(self, event: _Event) -> list[Delta]:
        item = self._at(
            event, "call", custom=event.type != "response.function_call_arguments.delta"
        )
        return [CallDelta(item.number, arguments=text(event.delta), custom=item.custom)]

    def _summary(self, event: _Event) -> list[Delta]:
        return [ReasoningDelta(text(event.delta), SUMMARY, 0, self._at(event, "reasoning").number)]

    def _quoted(self, event: _Event) -> list[Delta]:
        return [
            ReasoningDelta(
                text(event.delta), "reasoning_text", 0, self._at(event, "reasoning").number
            )
        ]

    def _failed(self, event: _Event) -> list[Delta]:
        self.done = True
        error = event.error or record(event.response).get("error")
        return [failure_of(error, event.code, event.message)]

    def _at(self, event: _Event, kind: str, *, custom: bool = False) -> _Open:
        """The item that the event adds to."""
        item = self._items.get(_index(event)) or self._begun(_index(event), kind, custom=custom)
        item.said = True
        return item

    def _begun(self, index: int, kind: str, *, custom: bool = False) -> _Open:
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        item = self._items[index] = _Open(kind, number, custom=custom)
        return item

    def _next_summary(self, event: _Event) -> list[Delta]:
        """The parts of a summary are paragraphs."""
        if not event.summary_index:
            return []
        return [ReasoningDelta("\n\n", SUMMARY, 0, self._at(event, "reasoning").number)]

    def _item_ended(self, event: _Event) -> list[Delta]:
        return self._item_done(_index(event), record(event.item))

    def _added(self, event: _Event) -> list[Delta]:
        item, index = record(event.item), _index(event)
        if index in self._items:
            return []
        match item.get("type"):
            case "reasoning":
                return [ReasoningDelta("", SUMMARY, 0, self._begun(index, "reasoning").number)]
            case "function_call" | "custom_tool_call" as kind:
                custom = kind == "custom_tool_call"
                begun = self._begun(index, "call", custom=custom)
                begun.named = True
                return [
                    CallDelta(
                        begun.number,
                        text(item.get("call_id")),
                        text(item.get("name")),
                        custom=custom,
                    )
                ]
            case "message":
                self._begun(index, "message")
        return []

    def _item_done(self, index: int, item: dict[str, Any]) -> list[Delta]:
        """What of the item has not been streamed; some servers stream nothing of it."""
        open_item = self._items.get(index)
        deltas: list[Delta] = []
        if open_item is None:
            event = _Event(item=item, output_index=index)
            deltas += self._added(event)
            open_item = self._items.get(index) or self._begun(index, "foreign")
        if open_item.done:
            return deltas
        open_item.done = True
        for part in item_parts(item):
            deltas += _unsaid(part, open_item)
        return deltas

    def _ended(self, event: _Event) -> list[Delta]:
        self.done, response = True, record(event.response)
        deltas: list[Delta] = []
        for index, item in enumerate(objects(response.get("output"))):
            if index not in self._items or not self._items[index].done:
                deltas += self._item_done(index, item)
        deltas.append(Finish(finish_of(response, calls="call" in self._counts)))
        if usage := usage_of(response.get("usage")):
            deltas.append(UsageReport(usage))
        return deltas


_STEPS: dict[str, Callable[[ResponsesReader, _Event], list[Delta]]] = {
    "error": ResponsesReader._failed,
    "response.cancelled": ResponsesReader._failed,
    "response.completed": ResponsesReader._ended,
    "response.custom_tool_call_input.delta": ResponsesReader._arguments,
    "response.failed": ResponsesReader._failed,
    "response.function_call_arguments.delta": ResponsesReader._arguments,
    "response.incomplete": ResponsesReader._ended,
    "response.output_item.added": ResponsesReader._added,
    "response.output_item.done": ResponsesReader._item_ended,
    "response.output_text.delta": ResponsesReader._text,
    "response.reasoning_summary_part.added": ResponsesReader._next_summary,
    "response.reasoning_summary_text.delta": ResponsesReader._summary,
    "response.reasoning_text.delta": ResponsesReader._quoted,
    "response.refusal.delta": ResponsesReader._refusal,
}


def _unsaid(part: object, item: _Open) -> list[Delta]:
    match part:
        case Reasoning():
            said: list[Delta] = (
                [] if item.said else [ReasoningDelta(part.text, part.field, 0, item.number)]
            )
            return (
                [*said, OpaqueDelta(part.opaque, part.carrier, 0, item.number, part.id)]
                if part.opaque
                else said
            )
        case ToolCall() if not (item.said and item.named):
            call_id, name = ("", "") if item.named else (part.id, part.name)
            return [
                CallDelta(
                    item.number, call_id, name, "" if item.said else part.arguments, 0, part.custom
                )
            ]
        case Text() if not item.said:
            return [TextDelta(part.text, 0, item.number)]
        case Refusal() if not item.said:
            return [RefusalDelta(part.text, 0, item.number)]
        case Foreign():
            return [ForeignItem(part.wire_format, part.item)]
    return []


def _index(event: _Event) -> int:
    return event.output_index if isinstance(event.output_index, int) else -1
