"""How long one request can hold the loop: the longest time between two breaths of its opening,
over hostile shapes.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from addon.formats.wire.pace import Work
from tests.addon.desk import Desk, upstream
from tests.harden.figure import Figure, at_scale
from tests.harden.hostile import SHAPES, hostile

__all__ = ("figures",)

PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens")
APIS = ("chat", "messages")
SIZES = at_scale((1,), (8, 30))
"""MiB."""

MOST_MS = 50


def figures() -> Iterator[Figure]:
    """F23."""
    for size in SIZES:
        gaps = sorted(_gaps(size), reverse=True)
        worst, name = gaps[0]
        over = sum(gap > MOST_MS for gap, _ in gaps)
        yield Figure(
            "F23",
            f"{len(SHAPES)} shapes of {size} MiB × {len(PATHS)} paths × {len(APIS)} upstreams",
            f"p100 {worst:.0f} ms of CPU ({name}), {over} of {len(gaps)} over",
            f"≤ {MOST_MS} ms",
            worst <= MOST_MS,
        )


def _gaps(size: int) -> Iterator[tuple[float, str]]:
    """The longest of each request, in milliseconds, with its name."""
    with TemporaryDirectory() as folder:
        for api in APIS:
            desk = Desk(Path(folder) / f"{api}.db", upstream("one", api=api))
            for name in SHAPES:
                body = hostile(name, size * 2**20)
                for path in PATHS:
                    yield _longest(desk, path, body), f"{name} at {path} for {api}"


def _longest(desk: Desk, path: str, body: bytes) -> float:
    desk.memory.engine.flush()
    intake = desk.intake(path=path)
    work = Watched(lambda: intake.open(body))
    try:
        work.go_on(0)
        work.note()
    finally:
        intake.close()
    return work.longest * 1000


class Watched(Work[Any]):
    """A job that is done at once, and notes how long it goes without a breath."""

    def __init__(self, job: Any) -> None:
        super().__init__(job, time.monotonic)
        self.longest = 0.0
        self._since = time.thread_time()

    def note(self) -> None:
        now = time.thread_time()
        self.longest, self._since = max(self.longest, now - self._since), now

    def breathe(self) -> None:
        self.note()
