"""F5: streams that come and go for a long time leave neither memory nor descriptors behind."""

import asyncio
import time
from collections.abc import Iterable
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tests.harden.figure import Figure, at_scale
from tests.support.counting import CountingProvider, ask
from tests.support.gateway import Gateway, eventually, upstream_table

__all__ = ("figures",)

WARM_SECONDS = at_scale(5, 54, 360)
"""Until caches and pools are full: what is taken after that is growth."""

SECONDS = at_scale(5, 36, 1_440)
STREAMS = 64
STEPS = 3
"""Rests at which is measured."""

FATES = cycle(("whole", "whole", "left", "uncounted", "cut", "plain"))

CONFIG = "[recall]\nmemory_mib = 1\n"
"""The cache of what is remembered is full soon: it grows up to this by design."""

MOST_MB = 5
MOST_MORE = 3
"""Descriptors and threads."""

MOST_WAL_MB = 64


class Held(msgspec.Struct, frozen=True):
    """What the data plane holds while nothing is asked of it."""

    megabytes: float
    descriptors: int
    threads: int


async def _stream_on(gateway: Gateway, key: str, seconds: float, numbers: "count[int]") -> None:
    """One stream after the other, for that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await ask(gateway.port, key, f"{next(FATES)} {next(numbers)}")


async def _streams(gateway: Gateway, key: str, seconds: float, numbers: "count[int]") -> None:
    await asyncio.gather(*(_stream_on(gateway, key, seconds, numbers) for _ in range(STREAMS)))


def _held(gateway: Gateway, before: Held | None) -> Held:
    """After a rest in which its connections may close."""
    process = gateway.data_plane()
    if before is not None:
        eventually(lambda: process.num_fds() <= before.descriptors + MOST_MORE, 20)
    return Held(process.memory_info().rss / 1e6, process.num_fds(), process.num_threads())


def figures() -> Iterable[Figure]:
    numbers, held = count(), list[Held]()
    with (
        TemporaryDirectory() as folder,
        CountingProvider() as provider,
        Gateway(
            Path(folder),
            {"LOG_LEVEL": "warning"},
            config=upstream_table("one", provider.base_url) + CONFIG,
        ) as gateway,
    ):
        key = gateway.new_user("ada")
        idle = _held(gateway, None)
        for seconds in [WARM_SECONDS] + [SECONDS / STEPS] * STEPS:
            asyncio.run(_streams(gateway, key, seconds, numbers))
            held.append(_held(gateway, idle))
        wal = Path(folder, "adapter.db-wal").stat().st_size / 1e6
    grown = held[-1].megabytes - held[0].megabytes
    steps = ", ".join(f"{each.megabytes:.0f}" for each in held)
    more = held[-1].descriptors - held[0].descriptors
    threads = held[-1].threads - held[0].threads
    yield Figure(
        "F5",
        f"{next(numbers):,} streams, {STREAMS} at once, for {WARM_SECONDS + SECONDS:,} s: whole, left and cut",
        f"{grown:+.1f} MB after {WARM_SECONDS} s ({steps}), {more:+} descriptors, "
        f"{threads:+} threads, WAL {wal:.0f} MB",
        f"≤ {MOST_MB} MB, ≤ {MOST_MORE}, ≤ {MOST_MORE}, ≤ {MOST_WAL_MB} MB",
        grown <= MOST_MB and more <= MOST_MORE and threads <= MOST_MORE and wal <= MOST_WAL_MB,
    )
