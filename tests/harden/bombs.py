"""F9: what swells, in requests and in upstreams' answers, holds neither memory nor the loop."""

import bz2
import gzip
import json
import os
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import brotli
import msgspec
import zstandard

from tests.harden.answers import Answers
from tests.harden.arena import (
    ATTACKER,
    Arena,
    Pulse,
    ThreadedUpstream,
    line_from,
    request_from,
)
from tests.harden.figure import Figure, at_scale
from tests.support.gateway import Gateway, upstream_environment

__all__ = ("figures",)

GROWN = at_scale(2**26, 2**30)
"""Bytes to which each compressed bomb grows."""

BLOCKS = 16
"""Of which it is made, as compressing all of it would take longer than all else."""

EVENTS = at_scale(30_000, 120_000)
"""Of a compressed stream: 8 MB."""

HEADER, BODY, AHEAD, ANSWER = (at_scale(40, mb) * 10**6 for mb in (100, 100, 200, 200))
ROUNDS = at_scale(1, 3)
MOST_MB = 32
MOST_WITHOUT_LENGTH_MB = 64
"""A body whose length is not told is read up to `max_body_mib`, whoever sends it."""

MOST_MS = 100
SECONDS = 30
CONFIG = "[recall]\nmemory_mib = 1\n"
"""The cache of what is remembered is full soon: it grows up to this by design."""

PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
MEGABYTE = b"x" * 10**6
EVENT = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n'
ERROR_EVENT = re.compile(rb'event: error|"error":|response\.failed')

type Pieces = Callable[[], Iterator[bytes]]


class Bomb(msgspec.Struct, frozen=True):
    """Something that swells."""

    name: str
    request: Callable[[str, str], Iterator[bytes]]
    """Made of a path and a key."""

    answer: Pieces = lambda: iter(())
    """The upstream's."""

    path: str = PATHS[0]
    served: bool = False
    """Whether a sound answer may come of it."""


class BombingUpstream(ThreadedUpstream):
    """Says to every request what it is told to."""

    def __init__(self) -> None:
        self.answer: Pieces = lambda: iter(())
        super().__init__()

    def talk(self, peer: socket.socket) -> None:
        if request_from(peer):
            for piece in self.answer():
                peer.sendall(piece)


# -- what is compressed ----------------------------------------------------------------------------


def _deflated(begin: bytes, block: bytes) -> bytes:
    """Blocks that don't look back, again and again; nobody gets to the checksum at the end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return begin + (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)) * BLOCKS


def _brotli(block: bytes) -> bytes:
    packer = brotli.Compressor(quality=5)
    first, second = (packer.process(block) + packer.flush() for _ in range(2))
    return bytes(first + second * (BLOCKS - 1))


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda block: _deflated(bytes.fromhex("1f8b08000000000000ff"), block),
    "deflate": lambda block: _deflated(b"\x78\xda", block),
    "br": _brotli,
    "zstd": lambda block: zstandard.compress(block) * BLOCKS,
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda text: bytes(brotli.compress(text, quality=5)),
    "zstd": zstandard.compress,
}


def _events() -> bytes:
    """They differ just so much that they are compressed as text is."""
    rng = Random(9)
    return b"".join(EVENT % rng.randrange(10) for _ in range(EVENTS))


# -- requests --------------------------------------------------------------------------------------


def _body(path: str, *, stream: bool = False) -> bytes:
    asked: dict[str, object] = {"model": "m", "stream": stream, "max_tokens": 16}
    if path == PATHS[1]:
        asked |= {"input": "hi", "max_output_tokens": asked.pop("max_tokens")}
    else:
        asked["messages"] = [{"role": "user", "content": "hi"}]
    return json.dumps(asked).encode()


def _asking(*, stream: bool = False) -> Callable[[str, str], Iterator[bytes]]:
    def make(path: str, key: str) -> Iterator[bytes]:
        body = _body(path, stream=stream)
        yield _head(path, key, b"content-length: %d" % len(body)) + body

    return make


def _head(path: str, key: str, *lines: bytes) -> bytes:
    first = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}".encode()
    return b"\r\n".join([first, *lines, b"", b""])


def _sending(coding: str, packed: bytes) -> Callable[[str, str], Iterator[bytes]]:
    def make(path: str, key: str) -> Iterator[bytes]:
        lines = b"content-encoding: " + coding.encode(), b"content-length: %d" % len(packed)
        yield _head(path, key, *lines) + packed

    return make


def _one_header(path: str, key: str) -> Iterator[bytes]:
    yield _head(path, key)[:-2] + b"x: "
    for _ in range(HEADER // len(MEGABYTE)):
        yield MEGABYTE


def _headers(path: str, key: str) -> Iterator[bytes]:
    yield _head(path, key)[:-2]
    for _ in range(HEADER // len(MEGABYTE)):
        yield b"x: yyyyy\r\n" * 10**5


def _with_length(path: str, key: str) -> Iterator[bytes]:
    yield _head(path, key, b"content-length: %d" % BODY)
    for _ in range(BODY // len(MEGABYTE)):
        yield MEGABYTE


def _without_length(path: str, key: str) -> Iterator[bytes]:
    yield _head(path, key, b"transfer-encoding: chunked")
    for _ in range(BODY // len(MEGABYTE)):
        yield b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE)


def _ahead(path: str, key: str) -> Iterator[bytes]:
    one = next(_asking()(path, key))
    for _ in range(AHEAD // 10**6):
        yield one * (10**6 // len(one))


# -- answers ---------------------------------------------------------------------------------------


def _answer_header() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nx: "
    for _ in range(ANSWER // len(MEGABYTE)):
        yield MEGABYTE


def _answer_headers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for _ in range(ANSWER // len(MEGABYTE)):
        yield b"x: yyyyy\r\n" * 10**5


def _saying(packed: bytes, coding: str, kind: str, status: str = "200 OK") -> Pieces:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-encoding: {coding}\r\n"
        f"content-length: {len(packed)}\r\n\r\n"
    )
    return lambda: iter([head.encode() + packed])


def _bombs() -> Iterator[Bomb]:
    block, events = b" " * (GROWN // BLOCKS), _events()
    for at, coding in enumerate(BOMBS):
        path, bomb = PATHS[at % 3], BOMBS[coding](block)
        yield Bomb(f"a request in {coding}", _sending(coding, bomb), path=path)
        yield from _answers(coding, path, bomb, events)
    yield Bomb("a request in bz2", _sending("bzip2", bz2.compress(block, 1) * BLOCKS))
    yield Bomb("a header", _one_header)
    yield Bomb("headers", _headers)
    yield Bomb("a body", _with_length, path=PATHS[1])
    yield Bomb(AHEAD_NAME, _ahead, served=True)
    for path in PATHS:
        ask = _asking(stream=path != PATHS[1])
        yield Bomb("a header of an answer", ask, _answer_header, path)
        yield Bomb("headers of an answer", ask, _answer_headers, path)


def _answers(coding: str, path: str, bomb: bytes, events: bytes) -> Iterator[Bomb]:
    whole, stream = "application/json", "text/event-stream"
    yield Bomb(f"an answer in {coding}", _asking(), _saying(bomb, coding, whole), path)
    refusal = _saying(bomb, coding, whole, "400 Bad Request")
    yield Bomb(f"a refusal in {coding}", _asking(stream=True), refusal, path)
    event = _saying(bomb, coding, stream)
    yield Bomb(f"an event in {coding}", _asking(stream=True), event, path)
    same = _saying(BOMBS[coding](EVENT % 1 * EVENTS), coding, stream)
    yield Bomb(f"the same event in {coding}", _asking(stream=True), same, path, served=True)
    text = _saying(PACKERS[coding](events), coding, stream)
    yield Bomb(f"a stream in {coding}", _asking(stream=True), text, path, served=True)


AHEAD_NAME = "requests sent ahead"
WITHOUT_LENGTH = Bomb("a body without its length", _without_length, path=PATHS[2])


# -- measuring -------------------------------------------------------------------------------------


class Thrown(msgspec.Struct, frozen=True):
    """What one bomb has come to."""

    name: str
    megabytes: float
    stall_ms: float
    """CPU time of the data plane while others waited for an answer of it."""

    fault: str
    """Why the client's end was none that it can understand."""


def _throw(stage: Arena, upstream: BombingUpstream, bomb: Bomb) -> Thrown:
    upstream.answer = bomb.answer
    with stage.peak() as peak, Pulse(stage.gateway.port, stage.process) as pulse:
        fault = _fault(bomb, _talk(stage, bomb))
    return Thrown(bomb.name, peak.grown, pulse.worst_busy_ms, fault)


def _talk(stage: Arena, bomb: Bomb) -> Answers:
    """What the client has got when its connection has ended or its answer is there."""
    answers = Answers(10**6 if bomb.name == AHEAD_NAME else 1)
    with line_from(ATTACKER, stage.gateway.port, SECONDS) as line:
        sender = threading.Thread(target=_send, args=(line, bomb, stage.hostile), daemon=True)
        sender.start()
        with suppress(ConnectionError):
            while not answers.over and (piece := line.recv(2**20)):
                answers.feed(piece)
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        sender.join()
    return answers


def _send(line: socket.socket, bomb: Bomb, key: str) -> None:
    with suppress(OSError):
        for piece in bomb.request(bomb.path, key):
            line.sendall(piece)


def _fault(bomb: Bomb, answers: Answers) -> str:
    """Why the client can't understand what it has got; nothing at all is a connection closed."""
    if answers.fault or not answers.statuses:
        return answers.fault
    status, body = answers.statuses[-1], answers.bodies[-1]
    if status == 200:
        ends = bomb.served or ERROR_EVENT.search(body)
        return "" if ends else f"200 without an error: {body[-200:]!r}"
    try:
        error = json.loads(body)
        told = error["error"]["message"] and error["error"]["type"]
        well = told and (error.get("type") == "error") == (bomb.path == PATHS[2])
    except (ValueError, KeyError, TypeError):
        well = False
    return "" if well else f"{status} {body[:200]!r}"


def figures() -> Iterator[Figure]:
    with ExitStack() as stack:
        upstream = BombingUpstream()
        stack.callback(upstream.stop)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        environment = upstream_environment(upstream.base_url)
        stage = Arena(stack.enter_context(Gateway(folder, environment, config=CONFIG)))
        bombs, before = list(_bombs()), stage.rss()
        rounds, rest = [], [before]
        for _ in range(ROUNDS):
            rounds.append([_throw(stage, upstream, bomb) for bomb in bombs])
            rest.append(stage.rss())
        kept = (rest[-1] - rest[1]) / 1e6  # the first fills caches
        unsized = _throw(stage, upstream, WITHOUT_LENGTH)
    if path := os.environ.get("WRONG"):
        Path(path).write_text("\n".join(map(str, [*zip(*rounds, strict=True), rest])))
    yield _figure(rounds, kept)
    yield Figure(
        "F9",
        f"{WITHOUT_LENGTH.name}, {BODY // 10**6} MB",
        f"+{unsized.megabytes:.0f} MB, {unsized.fault or 'a clear error'}",
        f"≤ {MOST_WITHOUT_LENGTH_MB} MB",
        unsized.megabytes <= MOST_WITHOUT_LENGTH_MB and not unsized.fault,
    )


def _figure(rounds: list[list[Thrown]], kept: float) -> Figure:
    thrown = [one for each in rounds for one in each]
    largest = max(thrown, key=lambda one: one.megabytes)
    # What the machine does beside hits a bomb in one round, what the bomb does in all.
    quiet = [min(same, key=lambda one: one.stall_ms) for same in zip(*rounds, strict=True)]
    slowest = max(quiet, key=lambda one: one.stall_ms)
    faults = {f"{one.name}: {one.fault}" for one in thrown if one.fault}
    return Figure(
        "F9",
        f"{len(quiet)} bombs, {ROUNDS} times: requests and answers of {GROWN // 2**20} MiB in "
        f"{', '.join(BOMBS)} and bz2, heads of {HEADER // 10**6} and {ANSWER // 10**6} MB, a body "
        f"of {BODY // 10**6} MB, {AHEAD // 10**6} MB sent ahead",
        "; ".join(
            [
                f"+{largest.megabytes:.0f} MB ({largest.name}), {kept:+.0f} MB kept of all after the first round",
                f"others wait {slowest.stall_ms:.0f} ms at most ({slowest.name})",
                f"{len(faults)} without a clear end",
                *sorted(faults)[:2],
            ]
        ),
        f"≤ {MOST_MB} MB, ≤ {MOST_MS} ms, 0",
        max(largest.megabytes, kept) <= MOST_MB and slowest.stall_ms <= MOST_MS and not faults,
    )
