"""A client's reader of HTTP/1.1 answers that are well-formed, and of nothing else."""

import asyncio
import re

__all__ = ("Answers",)

_HEAD = re.compile(
    rb"HTTP/1\.[01] (\d{3})(?: [^\r\n\x00]*)?\r\n((?:[!-9;-~]+:[^\r\n\x00]*\r\n)*)\r\n"
)
_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)\r$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding: *chunked\r$")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})\r\n")
_EMPTY = (204, 304)


class Answers:
    """What comes on one connection, until it is closed or has as many answers as are wanted."""

    def __init__(self, wanted: int, *, head_only: bool = False) -> None:
        """`head_only`: they are for HEAD."""
        self.received = bytearray()
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        """As they were sent, with their framing."""

        self.fault = ""
        """Why what came is not well-formed."""

        self.may_be_cut = False
        """Whether the client has left before it had them."""

        self._wanted = wanted
        self._head_only = head_only
        self._at = 0
        self._chunk_at = 0
        """Where the next chunk of the latest answer begins; 0: its first is still to come."""

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Read on, until there is nothing left to wait for."""
        while not self.over:
            piece = await reader.read(65536)
            if not piece:
                self.end()
                return
            self.feed(piece)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return len(self.statuses) >= self._wanted or bool(self.fault)

    def feed(self, piece: bytes) -> None:
        self.received += piece
        while self._take():
            pass

    def end(self) -> None:
        """The connection is closed: within an answer only if that says where it ends."""
        if self._at == len(self.received) or self.may_be_cut:
            return
        head = _HEAD.match(self.received, self._at)
        framed = head and (_LENGTH.search(head[2]) or _CHUNKED.search(head[2]))
        if head is None or framed:
            self.fault = "a broken answer"
        else:
            self._add(head, len(self.received))

    def _add(self, head: re.Match[bytes], end: int) -> None:
        self.statuses.append(int(head[1]))
        self.bodies.append(bytes(self.received[head.end() : end]))

    def _take(self) -> bool:
        """Take the next answer if all of it has come."""
        head = _HEAD.match(self.received, self._at)
        if head is None:
            if b"\r\n\r\n" in self.received[self._at :]:
                self.fault = "no answer of HTTP"
            return False
        end = self._end_of_body(head)
        if end < 0:
            return False
        self._at = end
        if int(head[1]) >= 200:
            self._add(head, end)
        return True

    def _end_of_body(self, head: re.Match[bytes]) -> int:
        """Where the answer ends, or -1."""
        status, headers, at = int(head[1]), head[2], head.end()
        if self._head_only or status < 200 or status in _EMPTY:
            return at
        if _CHUNKED.search(headers):
            return self._end_of_chunks(at)
        length = _LENGTH.search(headers)
        if length is None or len(self.received) < at + int(length[1]):
            return -1
        return at + int(length[1])

    def _end_of_chunks(self, at: int) -> int:
        self._chunk_at = self._chunk_at or at
        while size := _CHUNK.match(self.received, self._chunk_at):
            end = size.end() + int(size[1], 16) + 2
            if len(self.received) < end:
                return -1
            self._chunk_at = end
            if int(size[1], 16) == 0:
                self._chunk_at = 0
                return end
        return -1
