"""The bodies of HTTP/1.1 responses, cut out of the bytes of a connection (RFC 9112 §6 and §7);
pure.

h11, which mitmproxy reads with, makes several objects of each chunk: a delta of a stream is one.
"""

import re
from typing import Protocol

__all__ = ("ChunkedBody", "Framing", "Malformed", "SizedBody", "UnboundedBody", "body_of")

MAX_LINE = 64 * 1024
"""Bytes that the header of a chunk, or the trailers, may have."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\n]*)?[ \t]*")
_END = b"\r\n"


class Malformed(ValueError):
    """The bytes are no body in this framing."""


class Framing(Protocol):
    """One body. What comes after its end is kept in `rest`."""

    ended: bool
    rest: bytes

    def feed(self, received: bytes) -> bytes:
        """The bytes of the body among these. Raises Malformed."""

    def close(self) -> None:
        """The connection has ended. Raises Malformed when the body has not."""


class SizedBody:
    """A body whose length is known."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.ended = size == 0
        self.rest = b""

    def feed(self, received: bytes) -> bytes:
        if len(received) > self._left:
            received, self.rest = received[: self._left], received[self._left :]
        self._left -= len(received)
        self.ended = self._left == 0
        return received

    def close(self) -> None:
        if not self.ended:
            raise Malformed("the body is shorter than its length says")


class UnboundedBody:
    """A body that ends with its connection."""

    ended = False
    rest = b""

    def feed(self, received: bytes) -> bytes:
        return received

    def close(self) -> None:
        self.ended = True


class ChunkedBody:
    """A body in chunks; extensions and trailers are dropped: nothing in an LLM exchange is said
    in them.
    """

    def __init__(self) -> None:
        self.ended = False
        self.rest = b""
        self._kept = b""
        """What has come of the header of a chunk, or of the end of one."""

        self._left = 0
        """Bytes of the chunk that have yet to come, those of its end too."""

        self._trailers = False
        self._lines = 0
        """Bytes of the trailers so far."""

    def feed(self, received: bytes) -> bytes:
        at = 0
        if self._kept:
            received, self._kept = self._kept + received, b""
        pieces: list[bytes] = []
        while not self.ended:
            if self._left:
                piece, at = self._piece(received, at)
                pieces.append(piece)
                if self._left:
                    break
            # Trailers may end in a bare LF, as heads may (RFC 9112 §2.2).
            line_end = b"\n" if self._trailers else _END
            end = received.find(line_end, at)
            if end < 0:
                break
            self._take_line(received[at:end])
            at = end + len(line_end)
        self._keep(received[at:])
        if len(pieces) == 1:
            return pieces[0]
        return b"".join(pieces)

    def close(self) -> None:
        if not self.ended:
            raise Malformed("the body ends before its last chunk")

    def _piece(self, received: bytes, at: int) -> tuple[bytes, int]:
        """What is there of the current chunk, and where what follows it begins."""
        whole = at + self._left
        if len(received) >= whole:
            if received[whole - 2 : whole] != _END:
                raise Malformed("a chunk is longer than it says")
            self._left = 0
            return received[at : whole - 2], whole
        # Its last two bytes are no part of the body: they wait until both are there.
        stop = max(at, min(len(received), whole - 2))
        self._left -= stop - at
        return received[at:stop], stop

    def _take_line(self, line: bytes) -> None:
        """Take the header of a chunk, or a line of the trailers."""
        if self._trailers:
            self.ended = line in (b"", b"\r")
            self._lines += len(line)
            if self._lines > MAX_LINE:
                raise Malformed("the trailers are too long")
            return
        size = _SIZE.fullmatch(line)
        if size is None:
            raise Malformed("the header of a chunk is malformed")
        length = int(size[1], 16)
        self._trailers = length == 0
        self._left = length + 2 if length else 0

    def _keep(self, left: bytes) -> None:
        if self.ended:
            self.rest = left
        elif len(left) > MAX_LINE:
            raise Malformed("the header of a chunk is too long")
        else:
            self._kept = left


def body_of(expected: int | None) -> Framing:
    """The body for what mitmproxy's `expected_http_body_size` says: a length, -1 for up to the
    end of the connection, None for chunks.
    """
    if expected is None:
        return ChunkedBody()
    if expected < 0:
        return UnboundedBody()
    return SizedBody(expected)
