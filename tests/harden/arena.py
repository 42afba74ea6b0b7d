"""A gateway with an upstream that says when it said something, and what strangers do to it from
addresses of their own.
"""

import json
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]

from tests.support.gateway import Gateway, upstream_environment

__all__ = (
    "ATTACKER",
    "HONEST",
    "Arena",
    "Pulse",
    "TellingUpstream",
    "ThreadedUpstream",
    "arena",
    "head",
    "line_from",
    "request_from",
)

ATTACKER, HONEST = "127.0.0.2", "127.0.0.3"
"""Neither is a trusted proxy."""

PATH = "/v1/chat/completions"
DELTA_SECONDS = 0.02
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = (
    b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)


class ThreadedUpstream(ABC):
    """Listens on 127.0.0.1, with a thread for each connection; what it says is a subclass's own."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @abstractmethod
    def talk(self, peer: socket.socket) -> None:
        """Read requests and answer them, until the connection is to be closed."""

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer = self._socket.accept()[0]
                threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            self.talk(peer)


class TellingUpstream(ThreadedUpstream):
    """Answers each request; a streamed answer is one delta after the other, each with the time
    at which it was sent, until the client leaves.
    """

    def talk(self, peer: socket.socket) -> None:
        while request := request_from(peer):
            if b'"stream":true' in request.replace(b" ", b""):
                peer.sendall(STREAM)
                while True:
                    peer.sendall(_delta())
                    threading.Event().wait(DELTA_SECONDS)
            peer.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
                b"%d\r\n\r\n%b" % (len(WHOLE), WHOLE)
            )


def _delta() -> bytes:
    said = f"at {time.monotonic():.6f} "
    chunk = {"id": "x", "choices": [{"index": 0, "delta": {"content": said}}]}
    event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def request_from(peer: socket.socket) -> bytes:
    """A request's head and the beginning of its body, read to its end; empty: there is none."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        if not (more := peer.recv(65536)):
            return b""
        received += more
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0) - len(
        body
    )
    while left > 0 and (more := peer.recv(1 << 20)):
        left -= len(more)
        body = body or more
    return head + body[:65536]


class Arena:
    """The gateway, with two users' keys."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.hostile, self.hostile_too, self.honest = map(
            gateway.new_user, ("mallory", "trudy", "ada")
        )
        self.process = gateway.data_plane()

    def rss(self) -> int:
        """Bytes that the data plane holds."""
        return int(self.process.memory_info().rss)

    def peak(self) -> "Peak":
        """Watches how much the data plane holds, from now on."""
        return Peak(self.process)


class Peak:
    """The most that a process has held since the first look; use as a context manager."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.before = self.most = int(process.memory_info().rss)
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    @property
    def grown(self) -> float:
        """MB."""
        return (self.most - self.before) / 1e6

    def __enter__(self) -> "Peak":
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, int(self._process.memory_info().rss))


class Pulse:
    """Asks again and again whether the gateway lives; how long its answers take. Use as a
    context manager.
    """

    def __init__(self, port: int, process: psutil.Process | None = None) -> None:
        """`process` is the one that answers, if it is to be known what it does meanwhile."""
        self._port = port
        self._process = process
        self.seconds: list[float] = []
        self.busy_seconds: list[float] = []
        """How long the process worked while an answer was awaited: others' work is not in it."""

        self.failures = 0
        self._over = threading.Event()
        self._asking = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Pulse":
        self._asking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._asking.join()

    @property
    def worst_ms(self) -> float:
        return max(self.seconds, default=0) * 1000

    @property
    def worst_busy_ms(self) -> float:
        return max(self.busy_seconds, default=0) * 1000

    def _ask(self) -> None:
        with line_from(HONEST, self._port) as line:
            while not self._over.wait(0.005):
                began, worked = time.monotonic(), self._worked()
                line.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                self.failures += b" 200 " not in line.recv(4096)
                self.seconds.append(time.monotonic() - began)
                self.busy_seconds.append(min(self._worked() - worked, self.seconds[-1]))

    def _worked(self) -> float:
        if self._process is None:
            return 0
        times = self._process.cpu_times()
        return float(times.user + times.system)


def line_from(address: str, port: int, seconds: float = 30) -> socket.socket:
    """A connection to the gateway from this address."""
    line = socket.create_connection(("127.0.0.1", port), seconds, source_address=(address, 0))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def head(key: str, *extra: bytes, path: str = PATH) -> bytes:
    """A request's head of this user, without its end."""
    lines = [f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}".encode(), *extra]
    return b"\r\n".join(lines) + b"\r\n"


@contextmanager
def arena() -> Iterator[Arena]:
    with ExitStack() as stack:
        upstream = TellingUpstream()
        stack.callback(upstream.stop)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        gateway = stack.enter_context(Gateway(folder, upstream_environment(upstream.base_url)))
        yield Arena(gateway)
