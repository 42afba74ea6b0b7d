"""A canned upstream, cheap enough not to be what is measured: `python -m tests.bench.upstream
CERTIFICATE` serves it in a process of its own, plain and over TLS, and prints both ports.
"""

import asyncio
import json
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, Self
from urllib.request import urlopen

from tests.bench.answers import (
    DELTAS,
    PLAIN_ANSWER,
    STREAM_HEAD,
    answer,
    chunked,
    delta,
    ending,
    flood,
)
from tests.support.prose import Prose
from tests.support.tls import make_certificate

__all__ = ("REASONING_CHARS", "CannedUpstream", "Told", "Upstream", "length")

PACE = 0.02
"""Seconds between two deltas of a paced stream: 50 tokens a second."""

FULL_PAUSE = 0.001
"""Before a full connection is looked at again."""

BURST = 8
"""Chunks of a stream without a pause before others have their turn, each a write of its own."""

LONG = 100_000
"""Bytes from which on a body is one that replays a history."""

ARGUMENT_CHARS = 1000
REASONING_CHARS = 1000
"""Of each turn that is made for a history."""

FLOOD = chunked(flood())
END = b"".join(chunked([ending()])) + b"0\r\n\r\n"


class Told(NamedTuple):
    """What the upstream has seen."""

    connections: int
    """Made so far; those over TLS when their handshake was done."""

    restored: int
    """Turns with reasoning in the latest long history."""


class CannedUpstream(asyncio.Protocol):
    """Answers each request as its last message says: `plain`, `flood`, `paced`, or `turn`, which
    is a tool call with reasoning of its own.
    """

    connections = 0
    latest = b""
    turns = 0
    prose = Prose()
    pause = 0.0
    """Seconds between two chunks of a stream that says nothing of its time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = -1
        """Bytes of the head and the body; -1 until the head is there."""

        self._timer: asyncio.Handle | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        CannedUpstream.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._wanted < 0:
            head, found, _ = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            self._wanted = len(head) + 4 + length(head)
        if len(self._buffer) >= self._wanted:
            received, self._buffer, self._wanted = bytes(self._buffer), bytearray(), -1
            self._answer(received)

    def events(self, head: bytes) -> list[bytes]:
        """The chunks that are streamed, as fast as they go, to the request with this head."""
        return FLOOD

    def _answer(self, received: bytes) -> None:
        if received.startswith(b"GET "):
            self._transport.write(_json(self.connections, self.latest.count(b"reasoning_content")))
        elif len(received) > LONG:
            CannedUpstream.latest = received
            self._transport.write(PLAIN_ANSWER)
        elif b'"paced"' in received:
            self._say(0, time.monotonic())
        elif b'"stream":true' in received:
            self._transport.write(STREAM_HEAD)
            self._pour(self.events(received), 0)
        else:
            self._transport.write(_turn() if b'"turn"' in received else PLAIN_ANSWER)

    def _say(self, number: int, began: float) -> None:
        """Send a delta that says when it was sent, and the next in time."""
        if number == DELTAS:
            self._transport.write(END)
            return
        event = delta(number, b" at %.6f " % time.monotonic())
        head = b"" if number else STREAM_HEAD
        self._transport.write(b"%b%x\r\n%b\r\n" % (head, len(event), event))
        loop, due = asyncio.get_running_loop(), began + (number + 1) * PACE
        self._timer = loop.call_at(due, self._say, number + 1, began)

    def _pour(self, events: list[bytes], at: int) -> None:
        if self._transport.is_closing():
            return
        if at >= len(events):
            self._transport.write(b"0\r\n\r\n")
            return
        if not self._paused:
            burst = 1 if self.pause else BURST
            for event in events[at : at + burst]:
                self._transport.write(event)
            at += burst
        pause = FULL_PAUSE if self._paused else self.pause
        self._timer = asyncio.get_running_loop().call_later(pause, self._pour, events, at)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False


def _turn() -> bytes:
    CannedUpstream.turns += 1
    number, prose = CannedUpstream.turns, CannedUpstream.prose
    arguments = json.dumps({"path": f"src/{number}.py", "text": prose.cut(ARGUMENT_CHARS)})
    function = {"name": "StrReplace", "arguments": arguments}
    call = {"index": 0, "id": f"call_{number}", "type": "function", "function": function}
    reasoning = f"{number} {prose.cut(REASONING_CHARS)}"
    message = {"role": "assistant", "content": None, "reasoning_content": reasoning}
    return answer(json.dumps({**message, "tool_calls": [call]}).encode(), b"tool_calls")


def _json(connections: int, restored: int) -> bytes:
    body = json.dumps([connections, restored]).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def length(head: bytes) -> int:
    """The Content-Length that a head states, or 0."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Upstream:
    """The process; use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.authority = directory / "authority.pem"
        """Who answers for its certificate."""

        certificate = make_certificate(directory, self.authority)
        self._command = [sys.executable, "-m", "tests.bench.upstream", str(certificate)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout
        self.plain, self.tls = map(int, self._process.stdout.readline().split())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def port(self, *, tls: bool) -> int:
        return self.tls if tls else self.plain

    def base_url(self, *, tls: bool) -> str:
        return f"https://localhost:{self.tls}" if tls else f"http://127.0.0.1:{self.plain}"

    def told(self) -> Told:
        """What it has seen so far, this question included."""
        with urlopen(f"http://127.0.0.1:{self.plain}/", timeout=30) as told:
            return Told(*json.loads(told.read()))


async def _serve(certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop, ports = asyncio.get_running_loop(), []
    for tls in (None, context):
        server = await loop.create_server(CannedUpstream, "127.0.0.1", 0, ssl=tls, backlog=1024)
        ports.append(str(server.sockets[0].getsockname()[1]))
    sys.stdout.write(" ".join(ports) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
