"""How long one request can hold the loop, over hostile shapes: the longest time between two
breaths of its opening, and of what its upstream's refusals lead to.

The time is the thread's CPU time, which other programs on the machine don't count for; a quiet
machine is needed for the figure nevertheless, as they take caches and clock rates.
"""

import gc
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from addon.edge.memory import Collector
from addon.exchange.intake import Intake
from addon.exchange.verdict import Again, Reply
from addon.formats.wire.pace import Work
from tests.addon.desk import Desk, upstream
from tests.harden.figure import Figure, at_scale
from tests.harden.hostile import SHAPES, hostile

__all__ = ("figures",)

PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens")
APIS = ("chat", "messages")
EVERY = tuple(product(APIS, PATHS))
LIKELY = (("chat", PATHS[0]), ("chat", PATHS[1]), ("messages", PATHS[2]), ("messages", PATHS[3]))
"""An upstream's format and a path each."""

SIZES = at_scale((1,), (8, 30))
"""MiB."""

MOST_MS = 50

REFUSALS = (
    (503, b"{}"),
    (
        400,
        b'{"error":{"message":"The reasoning_content in the thinking mode must be passed back"}}',
    ),
)
"""After the first the next upstream gets a body, after the second the same one a mended one."""


def figures() -> Iterator[Figure]:
    """F23."""
    for size in SIZES:
        pairs = at_scale(EVERY, LIKELY if size < 30 else LIKELY[:1], EVERY)
        gaps = sorted(_gaps(size, pairs), reverse=True)
        worst, name = gaps[0]
        over = sum(gap > MOST_MS for gap, _ in gaps)
        yield Figure(
            "F23",
            f"{len(SHAPES)} shapes of {size} MiB × {len(pairs)} of path and upstream",
            f"p100 {worst:.0f} ms of CPU ({name}), {over} of {len(gaps)} over",
            f"≤ {MOST_MS} ms",
            worst <= MOST_MS,
        )


def _gaps(size: int, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[float, str]]:
    """The longest of each request, in milliseconds, with its name."""
    with TemporaryDirectory() as folder, collecting_as_the_gateway():
        desks = {
            api: Desk(
                Path(folder) / f"{api}.db", *(upstream(name, api=api) for name in ("one", "two"))
            )
            for api in APIS
        }
        for name in SHAPES:
            body = hostile(name, size * 2**20)
            for api, path in pairs:
                yield _longest(desks[api], path, body), f"{name} at {path} for {api}"


def _longest(desk: Desk, path: str, body: bytes) -> float:
    desk.memory.engine.flush()
    intake = desk.intake(path=path)
    work = Watched(lambda: whole_story(intake, body, work))
    try:
        work.go_on(0)
        work.result()
    finally:
        intake.close()
    return work.longest * 1000


def whole_story(intake: Intake, body: bytes, work: "Watched") -> None:
    """A request is opened, and its upstreams refuse it; the end of each is one more breath."""
    call = intake.open(body)
    work.note()
    if not isinstance(call, Reply):
        for status, error in REFUSALS:
            verdict = call.refused(status, {"content-type": "application/json"}, error)
            work.note()
            if not isinstance(verdict, Again):
                break
        call.accepted()
        work.note()


@contextmanager
def collecting_as_the_gateway() -> Iterator[None]:
    """Python looks at all objects when the gateway would have it."""
    before = gc.get_threshold()
    Collector().begin()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


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
