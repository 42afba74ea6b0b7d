"""F3: whatever ends a stream, it is in the ledger once, with what its upstream generated."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import msgspec

from shared.store import open_engine
from shared.store.engine import Engine
from tests.harden.figure import Figure, at_scale
from tests.support.gateway import Gateway, eventually, upstream_environment
from tests.support.rawhttp import Gate, Loopback, Piece, Received, Reply

__all__ = ("figures",)

STREAMS = at_scale(128, 3_200, 25_600)
AT_ONCE = 64
WARM = 64
"""Streams that are read whole at first: how many bytes make a token is known then."""

WORDS = 48
PROMPT = 60
CANCEL_MS = 50
PAUSE_SECONDS = 3
"""Within these clients leave, or ask again, lest the gateway have all that it can do: then
cancelling waits its turn.
"""


class TimedGate(Gate):
    """Knows when the peer hung up."""

    left_at = 0.0

    async def hold(self, reader: asyncio.StreamReader) -> bool:
        went_on = await super().hold(reader)
        self.left_at = time.monotonic()
        return went_on


class WordByWord(Loopback):
    """Generates so many words of seven letters, each a token, as the request's name says, and
    then waits for ever unless these are all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, TimedGate] = {}

    async def _answer(self, request: Received) -> Reply:
        name = json.loads(request.body)["messages"][-1]["content"]
        words = int(name.split()[1])
        pieces: list[Piece] = [_delta({"content": f"word{n:02} "}) for n in range(words)]
        if words == WORDS:
            usage = {"prompt_tokens": PROMPT, "completion_tokens": WORDS}
            pieces += [_delta({}, "stop"), _event({"choices": [], "usage": usage})]
            pieces.append(b"data: [DONE]\n\n")
        else:
            self.gates[name] = TimedGate()
            pieces.append(self.gates[name])
        headers = [("content-type", "text/event-stream")]
        return Reply(headers=headers, pieces=pieces, framing="chunked")


def _delta(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Cut(msgspec.Struct, frozen=True):
    """A stream that its client left."""

    generated: int
    relayed: int
    left_at: float


class Clients:
    """They read some words, or all, and leave with FIN or RST."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self.whole: set[str] = set()
        self.cut: dict[str, Cut] = {}
        self.broken: list[str] = []

    async def stream(self, number: int, rng: Random) -> None:
        words = rng.choice([WORDS, rng.randrange(1, WORDS)])
        if number < WARM:
            words = WORDS
        name = f"{number} {words}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_request(self._key, name))
        try:
            if words == WORDS:
                await reader.readuntil(b"data: [DONE]\n\n")
                self.whole.add(name)
                await asyncio.sleep(PAUSE_SECONDS * rng.random())
            else:
                await self._leave(name, words, rng.randrange(words), reader, writer)
        except asyncio.IncompleteReadError:
            self.broken.append(name)
        writer.close()

    async def _leave(
        self,
        name: str,
        words: int,
        last: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        await reader.readuntil(f"word{last:02} ".encode())
        await asyncio.sleep(PAUSE_SECONDS * last / words)
        if last % 2:  # with RST
            linger = struct.pack("ii", 1, 0)
            peer = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        self.cut[name] = Cut(words, last + 1, time.monotonic())


def _request(key: str, name: str) -> bytes:
    asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": name}]}
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _crowd(clients: Clients) -> None:
    rng, numbers = Random(3), iter(range(STREAMS))

    async def one_after_the_other() -> None:
        for number in numbers:
            await clients.stream(number, rng)

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))


def _counted(books: Engine) -> dict[str, list[int]]:
    rows = books.read(
        "SELECT a.text, l.completion_tokens FROM ledger l JOIN audit a ON a.exchange = l.exchange"
    )
    found: dict[str, list[int]] = {}
    for name, tokens in rows:
        found.setdefault(name, []).append(tokens)
    return found


def _late(clients: Clients, upstream: WordByWord) -> Iterator[float]:
    """Milliseconds until the upstream of each stream that was left heard of it."""
    for name, cut in clients.cut.items():
        yield max(0.0, upstream.gates[name].left_at - cut.left_at) * 1000


def figures() -> Iterable[Figure]:
    with (
        TemporaryDirectory() as folder,
        WordByWord() as upstream,
        Gateway(
            Path(folder), upstream_environment(upstream.base_url) | {"LOG_LEVEL": "warning"}
        ) as gateway,
        closing(open_engine(f"sqlite:{folder}/adapter.db")) as books,
    ):
        clients = Clients(gateway.port, gateway.new_user("ada"))
        asyncio.run(_crowd(clients))
        eventually(lambda: len(_counted(books)) >= STREAMS, 20)
        found = _counted(books)
        left = eventually(lambda: all(gate.left.is_set() for gate in upstream.gates.values()), 10)
        late = sorted(_late(clients, upstream))
    missing = STREAMS - len(found) + sum(len(tokens) > 1 for tokens in found.values())
    other = sum(found.get(name) != [WORDS] for name in clients.whole)
    outside = [
        name
        for name, cut in clients.cut.items()
        if not cut.relayed <= found.get(name, [0])[0] <= cut.generated
    ]
    p99 = late[int(len(late) * 0.99)]
    yield Figure(
        "F3",
        f"{STREAMS:,} streams, {AT_ONCE} at once, {len(clients.cut):,} of them left (FIN, RST)",
        f"{missing} not once in the ledger, {other} whole ones with other tokens, "
        f"{len(outside)} left ones with less than relayed or more than generated, "
        f"{len(clients.broken)} broken; cancelled after {p99:.0f} ms (p99)",
        f"0, 0, 0, 0; ≤ {CANCEL_MS} ms",
        left and not (missing or other or outside or clients.broken) and p99 <= CANCEL_MS,
    )
