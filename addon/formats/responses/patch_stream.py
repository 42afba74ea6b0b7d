"""Streamed Responses answers for Responses clients: each event is read into deltas and patched.

Events: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from addon.formats.neutral.deltas import UNREADABLE, Delta, StreamError, Words
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, Mint, Seal
from addon.formats.neutral.request import Request
from addon.formats.responses.error_body import error_object
from addon.formats.responses.patch_response import Patch
from addon.formats.responses.reader import ResponsesReader
from addon.formats.responses.writer import ResponsesWriter
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_int, as_str
from addon.formats.wire.run import Run, Shape, patched
from addon.formats.wire.splice import (
    MalformedJson,
    array_text,
    members,
    object_text,
    replaced,
    scalar_text,
    value,
    with_members,
)

__all__ = ("PatchStream",)

_ENDS = ("response.completed", "response.incomplete")
"""Types of the last events of a whole answer."""


class _Event(msgspec.Struct):
    """What of an event may have to change, or says where; anything may be of any type."""

    type: Any = None
    sequence_number: Any = None
    output_index: Any = None
    item_id: Any = None
    call_id: Any = None
    response_id: Any = None
    item: msgspec.Raw = msgspec.Raw(b"")
    response: msgspec.Raw = msgspec.Raw(b"")


_EVENT = msgspec.json.Decoder(_Event)


class PatchStream:
    """Relays one upstream's stream; `end`, `fail` and `done` as of any relay."""

    keep_alive = sse.KEEP_ALIVE

    def __init__(self, request: Request, head: Head, *, mint: Mint, seal: Seal) -> None:
        self._patch = Patch(request, head, mint=mint, seal=seal)
        self._writer = partial(ResponsesWriter, request, head, mint=mint, seal=seal)
        """Says of an answer that it failed before any response came."""

        self._reader = ResponsesReader()
        self._held: list[bytes] = []
        """Events before the first that says something: another upstream may still answer."""

        self._says = False
        self._response = b""
        """The latest response object."""

        self._items: dict[int, bytes] = {}
        """The items that are done, by their place."""

        self._places: dict[str, int] = {}
        """Where items stand whose events don't say so, by their ids."""

        self._number = -1
        self._shape: Shape | None = None
        """That of the last events, which may not have been fed."""

        self._alone = False
        """Whether the last event was passed on without others held before it."""

        self.done = False

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        """The deltas of one raw event and the bytes for the client: none for an error
        event, which is a StreamError.
        """
        data = sse.said_by(raw)
        if not data:
            return [], raw
        try:
            event = _read(data)
        except MalformedJson:
            return [UNREADABLE], b""
        if event is None:
            return [], self._passed(raw, says=False)
        deltas = self._reader.read_data(data)
        changes = self._changes(event)
        if any(isinstance(delta, StreamError) for delta in deltas):
            return deltas, b""
        self.done = event.type in _ENDS
        response = bytes(event.response)
        if response.startswith(b"{"):
            changes["response"] = self._patch.response(response, ended=self.done)
        out = raw
        if changes:
            out = _patched(raw, data, changes)
        return deltas, self._passed(out, says=bool(deltas) or self.done)

    def run(self, raw: bytes, delta: Words, out: bytes) -> Run | None:
        """How more of the same is passed on, as of any relay."""
        shape = self._reader.shape(raw, delta)
        if shape is None or not self._alone or not _is_numbered(shape, raw):
            return None
        self._shape = shape
        return patched(shape, raw, out)

    def end(self) -> bytes:
        """Nothing: a turn of Responses is whole when the stream says that it ends."""
        return b""

    def fail(self, problem: Problem) -> bytes:
        """The end of a stream that failed: what came of the response, with the error."""
        if not self._response:
            return self._passed(self._writer().fail(problem), says=True)
        items = [self._items[place] for place in sorted(self._items)]
        error = scalar_text(error_object(problem))
        changes = {"status": b'"failed"', "error": error, "output": array_text(items)}
        response = self._patch.response(with_members(self._response, changes), ended=True)
        event = [("type", b'"response.failed"'), ("response", response)]
        event += [("sequence_number", scalar_text(self._last_number + 1))]
        return self._passed(sse.event(object_text(event), "response.failed"), says=True)

    def _changes(self, event: _Event) -> dict[str, bytes]:
        """Note the event, and return its changes for the client, but for its response object."""
        self._number = max(self._last_number, as_int(event.sequence_number) or 0)
        self._shape = None
        changes = self._patch.mentions(event.item_id, event.call_id, event.response_id)
        response, item = bytes(event.response), bytes(event.item)
        if response.startswith(b"{"):
            self._response = response
        if item.startswith(b"{"):
            place, ended = self._place(event, item), event.type == "response.output_item.done"
            changes["item"] = self._patch.item(place, item, ended=ended)
            if ended:
                self._items[place] = item
        return changes

    @property
    def _last_number(self) -> int:
        if self._shape is None:
            return self._number
        return max(self._number, self._shape.number)

    def _place(self, event: _Event, item: bytes) -> int:
        """Where the event's item stands among the output."""
        place = as_int(event.output_index)
        if place is not None:
            return place
        item_id = as_str(as_dict(value(item)).get("id"))
        return self._places.setdefault(item_id, len(self._places))

    def _passed(self, out: bytes, *, says: bool) -> bytes:
        """The event and those before it, as soon as one says something."""
        self._says, self._alone = self._says or says, not self._held
        if not self._says:
            self._held.append(out)
            return b""
        held, self._held = self._held, []
        return b"".join([*held, out])


def _read(data: bytes) -> _Event | None:
    """The event in the data; None for JSON of another shape. Raises MalformedJson."""
    if not data.startswith(b"{"):
        value(data)
        return None
    try:
        return _EVENT.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A lone surrogate or an odd number: the lenient reader takes it.
        found = dict(members(data))
    texts = {name: msgspec.Raw(found.pop(name, b"")) for name in ("item", "response")}
    known = {name: value(raw) for name, raw in found.items() if name in _Event.__struct_fields__}
    return _Event(**known, **texts)


def _is_numbered(shape: Shape, raw: bytes) -> bool:
    """Whether the number in the event's shape, if it has one, is the event's own."""
    event, other = _read(sse.said_by(raw)), _read(sse.said_by(shape.probe))
    if event is None or other is None:
        return False
    number = as_int(event.sequence_number)
    return shape.number < 0 or shape.number == number != other.sequence_number


def _patched(raw: bytes, data: bytes, changes: Mapping[str, bytes]) -> bytes:
    """The event with these members of its data; its other fields keep their bytes."""
    parts = members(data)
    wanted = replaced(parts, changes)
    if wanted == parts:
        return raw
    return sse.with_data(raw, data, object_text(wanted))
