"""Streamed Responses answers for Responses clients: each event is read into deltas and patched.

Events: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

import re
from functools import partial

from addon.formats.neutral.deltas import UNREADABLE, Delta, StreamError
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, Mint, Seal
from addon.formats.neutral.request import Request
from addon.formats.responses.error_body import error_object
from addon.formats.responses.patch_response import Patch
from addon.formats.responses.reader import ResponsesReader
from addon.formats.responses.writer import ResponsesWriter
from addon.formats.wire import sse
from addon.formats.wire.lenient import integer, record, text
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

_LINE = re.compile(rb"\r\n|\n|\r")
_ENDS = ("response.completed", "response.incomplete")


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
        self.done = False

    def feed(self, raw: bytes) -> tuple[list[Delta], bytes]:
        """The deltas of one raw event and the bytes for the client: none for an error
        event, which is a StreamError.
        """
        data = sse.said_by(raw)
        if not data:
            return [], raw
        try:
            parts = members(data) if data.startswith(b"{") else []
            if not parts:
                value(data)  # JSON of another shape goes through as it is
        except MalformedJson:
            return [UNREADABLE], b""
        deltas = self._reader.read(raw) if parts else []
        found = dict(parts)
        kind = text(value(found.get("type", b"null")))
        changes = self._seen(kind, found)
        if any(isinstance(delta, StreamError) for delta in deltas):
            return deltas, b""
        self.done = kind in _ENDS
        if "response" in changes:
            changes["response"] = self._patch.response(found["response"], ended=self.done)
        wanted = replaced(parts, changes)
        out = _with_data(raw, data, object_text(wanted)) if wanted != parts else raw
        return deltas, self._passed(out, says=bool(deltas) or self.done)

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
        event += [("sequence_number", scalar_text(self._number + 1))]
        return self._passed(sse.event(object_text(event), "response.failed"), says=True)

    def _seen(self, kind: str, found: dict[str, bytes]) -> dict[str, bytes]:
        """Note what the event tells, and say what of it the client gets otherwise; a
        response object is left to do.
        """
        self._number = max(self._number, integer(value(found.get("sequence_number", b"null"))) or 0)
        changes: dict[str, bytes] = {}
        if found.get("response", b"").startswith(b"{"):
            self._response = changes["response"] = found["response"]
        if found.get("item", b"").startswith(b"{"):
            place, ended = self._place(found), kind == "response.output_item.done"
            changes["item"] = self._patch.item(place, found["item"], ended=ended)
            if ended:
                self._items[place] = found["item"]
        return changes | self._patch.mentions(found)

    def _place(self, found: dict[str, bytes]) -> int:
        """Where the event's item stands among the output."""
        place = integer(value(found.get("output_index", b"null")))
        if place is not None:
            return place
        item_id = text(record(value(found["item"])).get("id"))
        return self._places.setdefault(item_id, len(self._places))

    def _passed(self, out: bytes, *, says: bool) -> bytes:
        """The event and those before it, as soon as one says something."""
        self._says = self._says or says
        if not self._says:
            self._held.append(out)
            return b""
        held, self._held = self._held, []
        return b"".join([*held, out])


def _with_data(raw: bytes, data: bytes, new: bytes) -> bytes:
    """The event with other data; its other fields keep their bytes."""
    head, found, tail = raw.partition(data)
    if found:
        return head + new + tail
    others = [
        line + b"\n" for line in _LINE.split(raw) if line and line.partition(b":")[0] != b"data"
    ]
    return b"".join(others) + sse.event(new)
