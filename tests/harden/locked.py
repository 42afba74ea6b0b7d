"""F10: a database that another program has locked for seconds stalls nobody."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.store.sqlite import connect
from tests.harden.figure import Figure, at_scale
from tests.support.counting import ask
from tests.support.gateway import Gateway, upstream_environment
from tests.support.rawhttp import Gate, Loopback, Piece, Received, Reply

__all__ = ("figures",)

LOCKED_SECONDS = 5
STREAMS = at_scale(4, 16)
PAUSE_SECONDS = 0.05
"""Between two words of a stream, and between two questions whether the gateway lives."""

LAG_MS = 50
REFUSED_SECONDS = 2.2
"""Two seconds, and what the client takes."""

WORDS = int(2 * LOCKED_SECONDS / PAUSE_SECONDS)


class Paced(Loopback):
    """Streams words for longer than the database is locked."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[Gate] = []

    async def _answer(self, request: Received) -> Reply:
        pieces: list[Piece] = []
        for _ in range(WORDS):
            gate = Gate()
            self.gates.append(gate)
            choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
            pieces += [b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n", gate]
        headers = [("content-type", "text/event-stream")]
        return Reply(headers=headers, pieces=pieces, framing="chunked")

    async def pace(self) -> None:
        """Let every stream say its next word, again and again."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            for gate in [gate for gate in self.gates if gate.reached.is_set()]:
                gate.open()
                self.gates.remove(gate)


async def _listen(port: int, key: str, gaps: list[float]) -> None:
    """The milliseconds between two words of one stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    heard = time.monotonic()
    try:
        while True:
            await reader.readuntil(b"word ")
            heard, before = time.monotonic(), heard
            gaps.append((heard - before - PAUSE_SECONDS) * 1000)
    finally:
        writer.transport.abort()


async def _ask_whether_it_lives(port: int, lags: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        began = time.monotonic()
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b'{"status":"ok"}')
        lags.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(PAUSE_SECONDS / 5)


@asynccontextmanager
async def _running(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work) for work in works]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _measure(
    gateway: Gateway, upstream: Paced, keys: tuple[str, str]
) -> tuple[list[float], list[float], int, float]:
    """Lags and gaps while the database is locked; status and seconds of a limited request."""
    free, limited = keys
    lags: list[float] = []
    gaps: list[float] = []
    listening = [_listen(gateway.port, free, gaps) for _ in range(STREAMS)]
    async with _running(upstream.pace(), _ask_whether_it_lives(gateway.port, lags), *listening):
        await asyncio.sleep(1)
        with closing(connect(gateway.directory / "adapter.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            lags.clear()
            gaps.clear()
            began = time.monotonic()
            refused = await ask(gateway.port, limited, "plain 1")
            seconds = time.monotonic() - began
            await asyncio.sleep(LOCKED_SECONDS - seconds)
            other.execute("ROLLBACK")
        return sorted(lags), sorted(gaps), refused.status, seconds


def figures() -> Iterable[Figure]:
    with (
        TemporaryDirectory() as folder,
        Paced() as upstream,
        Gateway(Path(folder), upstream_environment(upstream.base_url)) as gateway,
    ):
        keys = gateway.new_user("ada"), gateway.new_user("bob")
        with closing(connect(gateway.directory / "adapter.db")) as other:
            other.execute("UPDATE users SET quota_tokens = 1000000 WHERE username = 'bob'")
        lags, gaps, status, seconds = asyncio.run(_measure(gateway, upstream, keys))
    lag, gap = lags[int(len(lags) * 0.999)], gaps[int(len(gaps) * 0.99)]
    yield Figure(
        "F10",
        f"the database locked for {LOCKED_SECONDS} s beside {STREAMS} streams",
        f"{lag:.0f} ms until an answer (p99.9), {gap:.0f} ms late deltas (p99), a caller with a "
        f"quota gets {status} after {seconds:.1f} s",
        f"≤ {LAG_MS} ms, ≤ {LAG_MS} ms, 503 within 2 s",
        lag <= LAG_MS and gap <= LAG_MS and status == 503 and seconds <= REFUSED_SECONDS,
    )
