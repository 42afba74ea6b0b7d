"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as
raw blocks and as data.

Linear in the bytes seen; an event ends at its blank line, whichever of LF, CRLF and CR the
sender uses.
"""

import re

__all__ = (
    "BOM",
    "KEEP_ALIVE",
    "EventTooLarge",
    "Events",
    "data_of",
    "event",
    "holds_events",
    "name_of",
    "said_by",
    "with_data",
)

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment (https://html.spec.whatwg.org/multipage/server-sent-events.html): the stream is
alive.
"""

MAX_EVENT = 16 * 1024 * 1024
"""Bytes one event may have: whole tool arguments come in one event from some servers."""

# Atomic groups: CRLF is one line end, never CR followed by LF.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE = re.compile(rb"\r\n|\n|\r")

_DATA = re.compile(rb"(?:^|[\r\n])data: ?")

_FIELD = re.compile(rb"\s*(?::|(?:data|event|id|retry):)")
"""How events begin, after blank lines."""

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which the standard lets a stream begin with."""

_SHORT = 4096
"""Bytes of an event's beginning that may be looked at again with each piece that comes."""

_HEAD = 64
"""Bytes in which a stream tells whether it has events; what says nothing so long has."""


class EventTooLarge(ValueError):
    """An event exceeds MAX_EVENT."""


class Events:
    """Cuts a byte stream into raw events; how the bytes arrive never changes what comes out.

    What begins like JSON or a page, however it is labelled, has no events: all of it is its rest.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._has_events: bool | None = None
        """None until it is known."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes, each with its blank line. Raises EventTooLarge."""
        if not self._has_events:
            chunk = self._begin(chunk)
            if not self._has_events:
                return []
        if len(self._buffer) < _SHORT and chunk.find(b"\r") < 0 and self._buffer.find(b"\r") < 0:
            return self._cut(bytes(self._buffer) + chunk)
        self._buffer += chunk
        events: list[bytes] = []
        start = 0
        at = self._scanned
        while match := _BLANK_LINE.search(self._buffer, at):
            if match.end() == len(self._buffer) and self._buffer[-1:] == b"\r":
                break  # the LF of a CRLF may still come
            events.append(bytes(self._buffer[start : match.end()]))
            start = at = match.end()
        del self._buffer[:start]
        # The blank line's first three bytes (CR LF CR) may be here already.
        self._scanned = max(0, len(self._buffer) - 3)
        self._refuse_large()
        return events

    def _cut(self, received: bytes) -> list[bytes]:
        """The events in all that has come and was not cut yet, whose lines end with LF."""
        *whole, rest = received.split(b"\n\n")
        if rest or self._buffer:
            self._buffer, self._scanned = bytearray(rest), max(0, len(rest) - 3)
            self._refuse_large()
        return [raw + b"\n\n" for raw in whole]

    def _begin(self, chunk: bytes) -> bytes:
        """Look whether there are events, and return all that has come if so."""
        self._buffer += chunk
        head = bytes(self._buffer[:_HEAD])
        said = head.removeprefix(BOM).lstrip()
        if len(head) == _HEAD or not BOM.startswith(said):
            self._has_events = said[:1] not in (b"{", b"[", b"<")
        if not self._has_events:
            self._refuse_large()
            return b""
        begun, self._buffer = bytes(self._buffer), bytearray()
        return begun

    def _refuse_large(self) -> None:
        if len(self._buffer) > MAX_EVENT:
            raise EventTooLarge(f"an event of the upstream is longer than {MAX_EVENT} bytes")

    @property
    def is_between(self) -> bool:
        """Whether nothing has come of the next event."""
        return not self._buffer

    @property
    def has_events(self) -> bool:
        """Whether it is known to have any."""
        return bool(self._has_events)

    def rest(self) -> bytes:
        """What came after the last complete event; the stream has ended there."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return rest


def holds_events(body: bytes) -> bool:
    """Whether a body, whatever it is labelled, is events rather than JSON."""
    return bool(_FIELD.match(body.removeprefix(BOM)))


def data_of(raw: bytes) -> bytes | None:
    """The event's data, its lines joined by LF; None for comments and events without data."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and raw.find(b"\r") < 0:
        return raw[6:-2]  # the shape nearly every event has
    lines = _fields(raw, b"data")
    if not lines:
        return None
    return b"\n".join(lines)


def said_by(raw: bytes) -> bytes:
    """The event's data; empty for an event without data and for Chat Completions' `[DONE]`,
    which other formats' servers send too.
    """
    data = (data_of(raw) or b"").strip()
    if data == b"[DONE]":
        return b""
    return data


def name_of(raw: bytes) -> str:
    """The event's name (`event:` field), or an empty string."""
    if b"event" not in raw:
        return ""
    names = _fields(raw, b"event")
    if not names:
        return ""
    return names[-1].decode(errors="replace")


def event(data: bytes, name: str = "") -> bytes:
    """The raw event with this data, a line of its own for each of its lines."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    raw = b"data: " + lines.replace(b"\n", b"\ndata: ") + b"\n\n"
    if not name:
        return raw
    return f"event: {name}\n".encode() + raw


def with_data(raw: bytes, data: bytes, new: bytes) -> bytes:
    """The raw event with `new` for its `data`; its other lines keep their bytes."""
    first = _DATA.search(raw)
    if first and b"\n" not in data and raw.startswith(data, first.end()):
        return raw[: first.end()] + new + raw[first.end() + len(data) :]
    lines = _LINE.split(raw.removeprefix(BOM))  # the data stands in several of them
    others = [line + b"\n" for line in lines if line and line.partition(b":")[0] != b"data"]
    return b"".join(others) + event(new)


def _fields(raw: bytes, name: bytes) -> list[bytes]:
    """The contents of the event's fields of that name."""
    lines = [line.partition(b":") for line in _LINE.split(raw.removeprefix(BOM))]
    return [content.removeprefix(b" ") for field, _, content in lines if field == name]
