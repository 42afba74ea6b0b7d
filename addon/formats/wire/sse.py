"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as
raw blocks and as data.

Linear in the bytes seen; an event ends at its blank line, whichever of LF, CRLF and CR the
sender uses.
"""

import re

__all__ = (
    "KEEP_ALIVE",
    "EventTooLarge",
    "Events",
    "data_of",
    "event",
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
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event exceeds MAX_EVENT."""


class Events:
    """Cuts a byte stream into raw events; how the bytes arrive never changes what comes out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes, each with its blank line. Raises EventTooLarge."""
        if not self._buffer and b"\r" not in chunk:
            *whole, rest = chunk.split(b"\n\n")
            if not rest:  # upstreams send whole events, nearly always
                return [raw + b"\n\n" for raw in whole]
        self._buffer += chunk
        found: list[bytes] = []
        start = 0
        at = self._scanned
        while match := _BLANK_LINE.search(self._buffer, at):
            if match.end() == len(self._buffer) and self._buffer[-1:] == b"\r":
                break  # the LF of a CRLF may still come
            found.append(bytes(self._buffer[start : match.end()]))
            start = at = match.end()
        del self._buffer[:start]
        self._scanned = max(0, len(self._buffer) - 3)
        if len(self._buffer) > MAX_EVENT:
            raise EventTooLarge(f"an event of the upstream is longer than {MAX_EVENT} bytes")
        return found

    def rest(self) -> bytes:
        """What came after the last complete event; the stream has ended there."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return rest


def data_of(raw: bytes) -> bytes | None:
    """The event's data, its lines joined by LF; None for comments and events without data."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and raw.find(b"\r") < 0:
        return raw[6:-2]  # the shape nearly every event has
    found = _fields(raw, b"data")
    return b"\n".join(found) if found else None


def said_by(raw: bytes) -> bytes:
    """The event's data; empty when it says nothing, or only Chat Completions' end that
    others send too.
    """
    data = (data_of(raw) or b"").strip()
    return b"" if data == b"[DONE]" else data


def name_of(raw: bytes) -> str:
    """The event's name (`event:` field), or an empty string."""
    if b"event" not in raw:
        return ""
    names = _fields(raw, b"event")
    return names[-1].decode(errors="replace") if names else ""


def event(data: bytes, name: str = "") -> bytes:
    """The raw event with this data, a line of its own for each of its lines."""
    head = f"event: {name}\n".encode() if name else b""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return head + b"data: " + lines.replace(b"\n", b"\ndata: ") + b"\n\n"


def with_data(raw: bytes, data: bytes, new: bytes) -> bytes:
    """The raw event with `new` for its `data`; its other lines keep their bytes."""
    head, found, tail = raw.partition(data)
    if found:
        return head + new + tail
    lines = _LINE.split(raw.removeprefix(_BOM))  # the data stands in several of them
    others = [line + b"\n" for line in lines if line and line.partition(b":")[0] != b"data"]
    return b"".join(others) + event(new)


def _fields(raw: bytes, name: bytes) -> list[bytes]:
    """What the event's fields of that name hold; a byte order mark may precede the first event."""
    lines = [line.partition(b":") for line in _LINE.split(raw.removeprefix(_BOM))]
    return [content.removeprefix(b" ") for found, _, content in lines if found == name]
