"""Fault 9: limits hold for all processes over one database together."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier
from time import monotonic as time
from typing import Any, cast

import pytest
from greenlet import GreenletExit

from addon.exchange.awaited_store import awaited
from addon.formats.neutral.problem import RequestError
from addon.formats.wire.pace import worked
from addon.ledger.meter import Meter
from shared.model import Limits
from shared.store import open_engine
from shared.store.engine import Engine, Work
from shared.store.ledger import DEAD_AFTER_MS, Entry
from shared.store.lookup import Wanted, look_up
from tests.addon.callers import principal, user
from tests.addon.recall.chat import StoppedClock
from tests.support.database import open_database, place_database
from tests.support.postgres import empty_database, wipe

REQUESTS = 32
"""Of each of two processes."""


class Process:
    """One data plane's books, on its own thread's connection."""

    def __init__(self, engine: Engine, node: str, clock: StoppedClock) -> None:
        self.engine = engine
        self.clock = clock
        self.node = node
        self.meter = Meter(self.engine, clock, node=node, version="1")

    def open(self, exchange: str, limits: Limits, size: int = 400) -> Callable[[int], None]:
        """Take a request as far as it may be sent; what settles it with so many tokens. Raises
        RequestError.
        """
        caller = principal(user(limits=limits))
        ticket = self.meter.admit(caller)
        known = look_up(self.engine, Wanted(ratio="m"))
        at = self.clock.now_ms()
        entry = Entry(exchange=exchange, at=at, user_id=7, upstream_model="m")
        opened = self.meter.open(caller, entry, ticket, known, size=size, max_tokens=1)
        try:
            while not opened.reserved:  # as the stream's wake-ups do
                self.meter.reserve(opened)
        except RequestError:
            self.meter.settle(entry, opened, None)
            raise

        def settle(tokens: int) -> None:
            used = Entry(exchange=exchange, at=at, user_id=7, prompt_tokens=tokens)
            self.meter.settle(used, opened, None)

        return settle


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place_database(tmp_path / "adapter.db")
    return tmp_path / "adapter.db"


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def processes(path: Path, clock: StoppedClock) -> Iterator[list[Process]]:
    pair = [Process(open_database(path, clock), f"node-{number}", clock) for number in (1, 2)]
    with closing(pair[0].engine), closing(pair[1].engine):
        yield pair


def outcome(process: Process, exchange: str, limits: Limits, size: int) -> str:
    try:
        process.open(exchange, limits, size)
    except RequestError as error:
        problem = error.problem
        return f"{problem.status} {problem.message} {problem.retry_after}"
    return "let through"


@pytest.mark.parametrize(
    ("limits", "size", "granted", "refusal"),
    [
        ({"rpm": 10}, 400, 10, "requests per minute (10) for your account: try again in 6 s. 6"),
        ({"tpm": 1000}, 400, 10, "tokens per minute (1,000) for your account: try again in 6 s. 6"),
        (
            {"concurrency": 10},
            400,
            10,
            "requests at once (10) for your account: try again in 2 s. 2",
        ),
    ],
    ids=["rpm", "tpm", "concurrency"],
)
def test_fault_9_64_requests_at_once_over_two_processes_get_what_the_limit_says(
    path: Path, clock: StoppedClock, limits: dict[str, int], size: int, granted: int, refusal: str
) -> None:
    together = Barrier(2)

    def work(node: str) -> Counter[str]:
        process = Process(open_database(path, clock), node, clock)
        with closing(process.engine):
            together.wait(30)
            return Counter(
                outcome(process, f"{node}-{number}", Limits(**limits), size)
                for number in range(REQUESTS)
            )

    with ThreadPoolExecutor(2) as threads:
        here, there = threads.map(work, ("node-1", "node-2"))
    assert here + there == {
        "let through": granted,
        f"429 Too many {refusal}": 2 * REQUESTS - granted,
    }


@pytest.mark.parametrize("limit", ["rpm", "concurrency"])
def test_fault_9_64_requests_at_once_over_postgresql_get_what_the_limit_says(
    clock: StoppedClock, limit: str
) -> None:
    url, together, limits = empty_database(), Barrier(2), Limits(**{limit: 2})
    wipe(url)

    def work(node: str) -> Counter[str]:
        process = Process(awaited(open_engine(url)), node, clock)
        with closing(process.engine), asyncio.Runner() as loop:
            together.wait(30)
            # The first words: how long it takes until there is more goes by the database's clock.
            whole = [
                loop.run(worked(partial(outcome, process, f"{node}-{number}", limits, 400), time))
                for number in range(REQUESTS)
            ]
            return Counter(one[:12] for one in whole)

    with ThreadPoolExecutor(2) as threads:
        here, there = threads.map(work, ("node-1", "node-2"))
    assert here + there == {"let through": 2, "429 Too many": 2 * REQUESTS - 2}


def test_fault_9_what_one_process_settles_makes_room_at_the_other(
    processes: list[Process],
) -> None:
    here, there = processes
    limits = Limits(concurrency=1, tpm=1000)
    settle = here.open("x1", limits, 4000)
    with pytest.raises(RequestError, match="requests at once"):
        there.open("x2", limits)
    settle(400)
    there.open("x3", limits, 2400)(600)
    with pytest.raises(RequestError, match="tokens per minute"):
        there.open("x4", limits)


def test_fault_9_a_request_whose_body_is_coming_counts_everywhere(processes: list[Process]) -> None:
    here, there = processes
    caller = principal(user(limits=Limits(concurrency=1, rpm=3)))
    ticket = here.meter.admit(caller)
    with pytest.raises(RequestError, match="requests at once"):
        there.meter.admit(caller)
    here.meter.give_back(ticket)
    there.meter.give_back(there.meter.admit(caller))
    here.meter.count(caller)
    with pytest.raises(RequestError, match="requests per minute"):
        there.meter.count(caller)


def test_fault_9_a_killed_process_gives_back_what_it_held(processes: list[Process]) -> None:
    killed, other = processes
    limits = Limits(concurrency=2)
    killed.open("x1", limits)
    killed.meter.admit(principal(user(limits=limits)))
    with pytest.raises(RequestError, match="requests at once"):
        other.open("x2", limits)
    other.clock.ms += DEAD_AFTER_MS
    other.meter.each_second()
    other.open("x3", limits)
    other.open("x4", limits)


def test_a_caller_without_limits_writes_nothing_more(processes: list[Process]) -> None:
    here, _ = processes
    before = here.engine.read("PRAGMA data_version")
    here.meter.give_back(here.meter.admit(principal(user())))
    here.meter.count(principal(user(limits=Limits(quota_tokens=5))))
    assert here.engine.read("PRAGMA data_version") == before


class Parting:
    """An engine whose caller is gone when a transaction has been committed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.parts = False

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._engine, verb)

    def transact[T](self, work: Work[T], *, alone: Sequence[str], wait: bool = True) -> T:
        done = self._engine.transact(work, alone=alone, wait=wait)
        if self.parts:
            raise GreenletExit
        return done


def test_a_request_that_ends_while_it_waits_to_begin_keeps_no_place(
    processes: list[Process],
) -> None:
    here, _ = processes
    engine = Parting(here.engine)
    meter = Meter(cast(Engine, engine), here.clock, node="node-3", version="1")
    caller = principal(user(limits=Limits(concurrency=1)))
    engine.parts = True
    with pytest.raises(GreenletExit):
        meter.admit(caller)
    engine.parts = False
    meter.give_back(meter.admit(caller))
