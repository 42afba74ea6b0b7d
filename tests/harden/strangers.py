"""F1: malformed requests of strangers and of users are answered or closed, and none of what was
refused has reached an upstream.
"""

import asyncio
import os
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random, SystemRandom
from tempfile import TemporaryDirectory

import msgspec

from shared.config.address import split_address
from tests.harden.answers import Answers
from tests.harden.figure import Figure, at_scale
from tests.harden.malformed import Sent, malformed
from tests.harden.numbering import HEARD, NumberingUpstream
from tests.support.gateway import Gateway, eventually

__all__ = ("figures",)

WARM, REQUESTS = at_scale((100, 200), (5_000, 15_000), (5_000, 195_000))
"""After the first caches are full: what is held more then is growth."""

AT_ONCE = 16
TO_SIDECAR = 0.1
"""How many are sent to the sidecar's own port."""

ADDRESSES = [f"127.0.0.{last}" for last in range(2, 10)]
"""None is a trusted proxy."""

SOON_SECONDS = 0.1
"""After which it is somebody else's turn while one waits."""

MOST_WAITING = 250
"""At a time, all in all."""

PATIENT = 2_000
"""Requests of which those that get no answer wait for the gateway to close; all of them would
take hours.
"""

IMPATIENT_SECONDS = 3
SLACK_SECONDS = 2
"""The gateway looks at its deadlines each second."""

MOST_SECONDS = 10
"""Until a head that stays incomplete is given up."""

BODY_SECONDS = 30
KIB_PER_SECOND = 16
"""Until a body is: half a minute, and its size at this speed."""

MOST_MB = 5
MOST_MORE = 3
"""Descriptors."""

CONFIG = "[recall]\nmemory_mib = 1\n"
"""The cache of what is remembered is full soon: it grows up to this by design."""

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


class Held(msgspec.Struct, frozen=True):
    """What the gateway's programs hold while nobody asks."""

    processes: tuple[int, ...]
    megabytes: float
    sidecar_megabytes: float
    descriptors: int


class Strangers:
    """Send, wait, and note what is not as it should be, in the file $WRONG too."""

    def __init__(self, gateway: Gateway, key: str, seed: int) -> None:
        self.wrong: Counter[str] = Counter()
        self.heard: set[int] = set()
        self._statuses: Counter[int] = Counter()
        self._rng = Random(seed)
        self._key = key.encode()
        self._ports = (
            gateway.port,
            split_address(gateway.environment["ADMIN_LISTEN_ADDR"])[1],
        )
        self._waiting: set[asyncio.Task[None]] = set()

    def answers(self) -> list[tuple[int, int]]:
        """How often each status was given."""
        return sorted(self._statuses.items())

    async def send(self, count: int, *, patient: int = 0) -> None:
        """So many, AT_ONCE at a time, and wait for the last answer; so many of the first wait
        for the gateway to close, the others leave when they get no answer.
        """
        patience = iter([n < patient for n in range(count)])
        await asyncio.gather(*(self._one_after_the_other(patience) for _ in range(AT_ONCE)))
        if self._waiting:
            await asyncio.wait(self._waiting)

    async def _one_after_the_other(self, patience: Iterator[bool]) -> None:
        for patient in patience:
            sent, direct = malformed(self._rng, self._key), self._rng.random() < TO_SIDECAR
            talk = asyncio.ensure_future(
                self._talk(sent, self._ports[direct], patient and not direct)
            )
            self._waiting.add(talk)
            talk.add_done_callback(self._note_end)
            await asyncio.wait({talk}, timeout=SOON_SECONDS)
            if len(self._waiting) > MOST_WAITING:
                await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)

    def _note_end(self, talk: asyncio.Task[None]) -> None:
        self._waiting.discard(talk)
        if error := talk.exception():
            self.wrong[repr(error)] += 1

    async def _talk(self, sent: Sent, port: int, patient: bool) -> None:
        """Send and take what comes; leave when nothing does, or wait to be closed."""
        answers = Answers(sent.answers, head_only=sent.raw.lstrip().startswith(b"HEAD "))
        answers.may_be_cut = bool(sent.leave)
        with suppress(OSError):  # it was closed
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(self._rng.choice(ADDRESSES), 0)
            )
            try:
                await _send(sent, writer)
                if sent.leave == "reset":
                    return
                await self._listen(sent, answers, reader, writer, patient)
            finally:
                writer.transport.abort()
        self._judge(sent, answers, direct=port != self._ports[False])

    async def _listen(
        self,
        sent: Sent,
        answers: Answers,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        patient: bool,
    ) -> None:
        reading = asyncio.ensure_future(_read(answers, reader))
        try:
            if await self._is_over(reading, SOON_SECONDS):
                return
            # The gateway has it by now: from here on its time runs.
            if not patient and not await self._is_over(reading, IMPATIENT_SECONDS):
                answers.may_be_cut = True
                writer.write_eof()
            if not await self._is_over(reading, _seconds(sent)):
                self._note("left open", sent)
        finally:
            reading.cancel()

    async def _is_over(self, reading: asyncio.Future[None], seconds: float) -> bool:
        """Whether it is within that time, and what a gateway that has much to do takes to
        answer somebody else who came later.
        """
        await asyncio.wait({reading}, timeout=seconds)
        if not reading.done():
            await self._answers_others()
        if not reading.done() and seconds > SLACK_SECONDS:
            await asyncio.wait({reading}, timeout=SLACK_SECONDS)
            await self._answers_others()
        return reading.done()

    async def _answers_others(self) -> None:
        """Have both programs answer something."""
        for port in self._ports:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

    def _judge(self, sent: Sent, answers: Answers, direct: bool) -> None:
        heard = [int(number) for number in HEARD.findall(bytes(answers.received))]
        if len(set(heard)) > (0 if direct else sent.calls):
            self._note(f"{len(heard)} instead of {sent.calls} calls", sent)
        self.heard.update(heard)
        self._statuses.update(answers.statuses)
        for status in answers.statuses:
            if status >= 500:
                self._note(f"{status}", sent)
        if answers.fault:
            self._note(answers.fault, sent)

    def _note(self, what: str, sent: Sent) -> None:
        self.wrong[f"{what}: {sent.sort}"] += 1
        if path := os.environ.get("WRONG"):
            with Path(path).open("a") as told:
                told.write(f"{what}: {sent.sort}: {sent.raw!r}\n")


async def _send(sent: Sent, writer: asyncio.StreamWriter) -> None:
    for piece in sent.pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    if sent.leave == "reset":
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif sent.leave == "fin":
        writer.write_eof()


async def _read(answers: Answers, reader: asyncio.StreamReader) -> None:
    with suppress(OSError):  # it was closed
        await answers.read(reader)


def _seconds(sent: Sent) -> float:
    """How long it may take until it is answered or closed."""
    raw = sent.raw
    if _END_OF_HEAD.search(raw):
        return BODY_SECONDS + len(raw) / 1024 / KIB_PER_SECOND
    return MOST_SECONDS


def _held(gateway: Gateway, before: Held | None = None) -> Held:
    """Once the connections are closed."""
    data_plane = gateway.data_plane()
    processes = gateway.processes()
    sidecar = next(process for process in processes if "manage_api" in process.cmdline())
    if before is not None:
        eventually(lambda: data_plane.num_fds() <= before.descriptors + MOST_MORE, 15)
    return Held(
        tuple(sorted(process.pid for process in processes)),
        data_plane.memory_info().rss / 1e6,
        sidecar.memory_info().rss / 1e6,
        data_plane.num_fds(),
    )


async def _press(
    gateway: Gateway, upstream: NumberingUpstream, strangers: Strangers
) -> tuple[Held, Held]:
    await upstream.serve()
    idle = await asyncio.to_thread(_held, gateway)
    # Those that wait make the peak: what it takes is kept for the next, and is no growth.
    await strangers.send(WARM, patient=PATIENT)
    warm = await asyncio.to_thread(_held, gateway, idle)
    await strangers.send(REQUESTS)
    return warm, await asyncio.to_thread(_held, gateway, idle)


def figures() -> Iterable[Figure]:
    seed = int(os.environ.get("SEED") or SystemRandom().randrange(10**6))
    upstream = NumberingUpstream()
    with (
        TemporaryDirectory() as folder,
        Gateway(Path(folder), config=upstream.config() + CONFIG) as gateway,
    ):
        strangers = Strangers(gateway, gateway.new_user("mallory"), seed)
        warm, after = asyncio.run(_press(gateway, upstream, strangers))
        log = gateway.log
    upstream.stop()
    yield from _reached(strangers, upstream, seed)
    yield _left(warm, after, log.count("Traceback") + log.count("crashed"))


def _reached(strangers: Strangers, upstream: NumberingUpstream, seed: int) -> Iterator[Figure]:
    """What came of the requests: who was told that an upstream answered, and who got no end."""
    unheard = len(set(range(1, upstream.asked + 1)) ^ strangers.heard)
    wrong = sum(strangers.wrong.values())
    statuses = ", ".join(f"{count:,} × {status}" for status, count in strangers.answers())
    yield Figure(
        "F1",
        f"{WARM + REQUESTS:,} malformed requests to both ports, {AT_ONCE} at once, seed {seed}",
        f"{statuses}, the rest closed; "
        + "; ".join(
            [f"{wrong} wrong", *(f"{n} × {what}" for what, n in strangers.wrong.most_common(3))]
        )
        + f"; upstreams got {upstream.asked:,} requests, {unheard} of them refused, and "
        f"{len(upstream.strange)} that are none",
        "0 left open, 0 of our own 5xx, 0 refused at an upstream",
        not (wrong or unheard or upstream.strange),
    )


def _left(warm: Held, after: Held, faults: int) -> Figure:
    """What the requests have left behind."""
    exits = len(set(warm.processes) - set(after.processes))
    grown = after.megabytes - warm.megabytes
    sidecar = after.sidecar_megabytes - warm.sidecar_megabytes
    more = after.descriptors - warm.descriptors
    return Figure(
        "F1",
        f"what {REQUESTS:,} of them leave behind",
        f"{exits} exits, {faults} tracebacks, {more:+} descriptors, {grown:+.1f} MB, {sidecar:+.1f} MB "
        "in the sidecar",
        f"0, 0, ≤ {MOST_MORE}, ≤ {MOST_MB} MB, ≤ {MOST_MB} MB",
        not exits and not faults and more <= MOST_MORE and grown <= MOST_MB and sidecar <= MOST_MB,
    )
