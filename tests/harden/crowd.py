"""What an honest user notices of a crowd from one address: slow heads, slow bodies, silent
connections and hostile requests. Run as a program it is the crowd.
"""

import asyncio
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from tests.harden.arena import ATTACKER, HONEST, Arena, arena, head, line_from
from tests.harden.figure import Figure, at_scale
from tests.harden.hostile import SHAPES, hostile

__all__ = ("figures",)

HEADS, BODIES, SILENT = at_scale((200, 40, 100), (2_000, 400, 1_000))
SECONDS, ROUNDS = at_scale((3, 1), (12, 3))
MIB = at_scale(2, 30)
RETRY_SECONDS = 5
"""Before one that was closed or turned away comes again."""

EVERY_SECONDS = 6
"""Ten hostile requests a minute."""

TOLD = re.compile(rb"at (\d+\.\d+) ")


def figures() -> Iterator[Figure]:
    with arena() as stage:
        alone, crowded, closed, fds = [], [], [], []
        refused = 0
        for _ in range(ROUNDS):
            told, failures = _listen(stage, SECONDS)
            alone += told
            refused += failures
            with _Crowd(stage):
                told, failures = _listen(stage, SECONDS)
                fds.append(stage.process.num_fds())
            crowded += told
            refused += failures
        closed.append(_silence(stage))
    scale = f"{HEADS} slow heads, {BODIES} slow bodies, {SILENT} silent, hostile {MIB} MiB"
    without, within = _p99(alone), _p99(crowded)
    yield Figure(
        "F8",
        f"{scale}; delta p99 of another user, {len(crowded)} deltas",
        f"{within:.1f} ms, without {without:.1f} ms, {refused} refused",
        "≤ 2 × without, 0 refused",
        within <= 2 * max(without, 5) and not refused,
    )
    yield Figure("F8", scale, f"p99 {within:.1f} ms", "≤ 100 ms", within <= 100)
    yield Figure("F8", scale, f"{max(fds)} descriptors", "≤ 1,300", max(fds) <= 1_300)
    yield Figure(
        "F8",
        "100 silent connections",
        f"closed after {max(closed):.1f} s",
        "≤ 11 s",
        max(closed) <= 11,
    )


def _p99(delays: list[float]) -> float:
    """Milliseconds."""
    return sorted(delays)[int(len(delays) * 0.99)] * 1000 if delays else float("inf")


def _listen(stage: Arena, seconds: float) -> tuple[list[float], int]:
    """The delays of an honest user's deltas, and how many of its requests failed."""
    delays: list[float] = []
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()
    failures, until = 0, time.monotonic() + seconds
    with line_from(HONEST, stage.gateway.port) as line:
        line.sendall(head(stage.honest, b"content-length: %d" % len(body)) + b"\r\n" + body)
        first = line.recv(65536)
        failures += b" 200 " not in first
        while time.monotonic() < until and (piece := line.recv(65536)):
            now = time.monotonic()
            delays += [now - float(at) for at in TOLD.findall(piece)]
            if len(delays) % 25 == 0:
                failures += not _asks(stage)
    return delays, failures


def _asks(stage: Arena) -> bool:
    """Whether the honest user gets a whole answer on a new connection."""
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    with line_from(HONEST, stage.gateway.port) as line, suppress(OSError):
        line.sendall(head(stage.honest, b"content-length: %d" % len(body)) + b"\r\n" + body)
        return b" 200 " in line.recv(65536)
    return False


def _silence(stage: Arena) -> float:
    """Seconds until the last of some silent connections is closed."""
    lines = [line_from(ATTACKER, stage.gateway.port) for _ in range(100)]
    began = time.monotonic()
    for line in lines:
        with suppress(OSError):
            line.recv(1)
        line.close()
    return time.monotonic() - began


class _Crowd:
    """The crowd as a process of its own."""

    def __init__(self, stage: Arena) -> None:
        arguments = [str(stage.gateway.port), stage.hostile]
        self._command = [sys.executable, "-m", "tests.harden.crowd", *arguments]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


# -- the crowd -------------------------------------------------------------------------------------


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(ATTACKER, 0))


async def _drip(port: int, begin: bytes, piece: bytes) -> None:
    """Send slowly, on a new connection when the last has ended."""
    while True:
        with suppress(OSError):
            reader, writer = await _connect(port)
            writer.write(begin)
            while not reader.at_eof() and not writer.is_closing():
                await asyncio.sleep(1)
                if piece:
                    writer.write(piece)
                    await writer.drain()
            writer.close()
        await asyncio.sleep(RETRY_SECONDS)


async def _hostile(port: int, key: str) -> None:
    names = list(SHAPES)
    for n in range(10**6):
        with suppress(OSError):
            body = hostile(names[n * 7 % len(names)], MIB * 2**20)
            _, writer = await _connect(port)
            writer.write(head(key, b"content-length: %d" % len(body)) + b"\r\n" + body)
            await writer.drain()
        await asyncio.sleep(EVERY_SECONDS)


async def _press(port: int, key: str) -> None:
    slow_head, slow_body = head(key), head(key, b"content-length: 1000000") + b"\r\n{"
    crowd = [_drip(port, slow_head, b"x") for _ in range(HEADS)]
    crowd += [_drip(port, slow_body, b" " * 64) for _ in range(BODIES)]
    crowd += [_drip(port, b"", b"") for _ in range(SILENT)]
    tasks = [asyncio.ensure_future(one) for one in [*crowd, _hostile(port, key)]]
    await asyncio.sleep(2)
    sys.stdout.write("pressing\n")
    sys.stdout.flush()
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_press(int(sys.argv[1]), sys.argv[2]))
