"""Long work in slices: `breathe` stands between its pieces, and lets others go on when the
slice has had its time.

Nothing has to be written differently for that: the work runs in a greenlet, and outside of
one breathing does nothing. Between two breaths the work alone runs.

Work may also wait for something, which whoever has it done waits for: `wait_for` looks like a
call that takes a while.
"""

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from itertools import batched, chain
from math import inf
from typing import Any

from greenlet import getcurrent, greenlet

__all__ = (
    "LONG",
    "Work",
    "between_breaths",
    "breathe",
    "breathe_for",
    "can_wait",
    "lots_of",
    "pieces_of",
    "wait_for",
    "worked",
)

LONG = 256 * 1024
"""Bytes or characters from which one pass over a text deserves a breath of its own: about a
quarter of a millisecond.
"""

MOST_IDLE = 8
"""Workers of a thread that wait for another job: most jobs are done in one slice."""


_LOT = 256
"""Of what takes a microsecond or less for each."""


class Work[T]:
    """A job that is done slice by slice."""

    def __init__(self, job: Callable[[], T], monotonic: Callable[[], float]) -> None:
        """`monotonic` tells seconds."""
        self._is_over = False
        self._job = job
        self._monotonic = monotonic
        self._until = 0.0
        self._failure: BaseException | None = None
        self._results: list[T] = []
        self._greenlet = _worker(self._run)
        self._greenlet.work = self
        self._awaited: Coroutine[Any, Any, Any] | None = None
        self._came: Any = None
        """What it waited for has come to."""

        self._missed: Exception | None = None

    def go_on(self, seconds: float) -> bool:
        """Work for about so long; whether the job is done."""
        self._until = self._monotonic() + seconds
        if not self._is_over:
            self._greenlet.parent = getcurrent()
            self._greenlet.switch()
        return self.done

    @property
    def done(self) -> bool:
        return self._is_over

    @property
    def waits(self) -> bool:
        """Whether it can't go on before `arrive` has been awaited."""
        return self._awaited is not None

    async def arrive(self) -> None:
        """Wait for what the job waits for."""
        if self._awaited is None:
            return
        try:
            self._came = await self._awaited
        except Exception as error:
            self._missed = error
        finally:
            self._awaited = None

    def result(self) -> T:
        """What the job has come to; raises what it raised."""
        if self._failure is not None:
            raise self._failure
        return self._results[0]

    def stop(self) -> None:
        """Give the job up where it stands."""
        if self._is_over:
            return  # the greenlet may have another job by now
        self._is_over = True
        self._greenlet.parent = getcurrent()
        self._greenlet.throw()

    def _run(self) -> None:
        try:
            self._results.append(self._job())
        except Exception as error:
            self._failure = error
        self._is_over = True

    def breathe(self) -> None:
        """Let others go on if the slice has had its time; within the job only."""
        if self._monotonic() >= self._until and self._greenlet.parent is not None:
            self._greenlet.parent.switch()

    def wait_for(self, awaited: Coroutine[Any, Any, Any]) -> Any:
        """`wait_for`, within the job only."""
        self._awaited = awaited
        try:
            self._greenlet.parent.switch()
        finally:
            awaited.close()  # which may never have begun
        missed, self._missed = self._missed, None
        if missed is not None:
            raise missed
        return self._came


async def worked[T](job: Callable[[], T], monotonic: Callable[[], float]) -> T:
    """Do a job in one slice, but for what it waits for; raises what it raised."""
    work = Work(job, monotonic)
    while not work.go_on(inf):
        await work.arrive()
    return work.result()


def can_wait() -> bool:
    """Whether this is work."""
    return getattr(getcurrent(), "work", None) is not None


def wait_for[T](awaited: Coroutine[Any, Any, T]) -> T:
    """What this comes to, while others go on; raises what it raises. For work only."""
    work: Work[Any] = getcurrent().work
    came: T = work.wait_for(awaited)
    return came


class _Worker(greenlet):  # type: ignore[misc]
    """Does one job after the other: the first call of a new one has its stack from the system, and
    the end of it gives that back.
    """

    job: Callable[[], None]
    work: Work[Any] | None = None

    def run(self) -> None:
        idle = _idle()
        while True:
            self.job()
            del self.job
            self.work = None
            if len(idle) >= MOST_IDLE:
                return
            idle.append(self)
            self.parent.switch()


def _idle() -> list[_Worker]:
    """Those of this thread that have nothing to do: a greenlet stays in the thread it began in."""
    root = getcurrent()
    while root.parent is not None:
        root = root.parent
    if not hasattr(root, "idle"):
        root.idle = []
    idle: list[_Worker] = root.idle
    return idle


def _worker(job: Callable[[], None]) -> _Worker:
    """What will do the job."""
    idle = _idle()
    worker = idle.pop() if idle else _Worker()
    worker.job = job
    return worker


def breathe() -> None:
    """Let others go on, if this slice of the work has had its time."""
    work = getattr(getcurrent(), "work", None)
    if work is not None:
        work.breathe()


def breathe_for(size: int) -> None:
    """The same, before a pass over so many bytes or characters that it is worth it."""
    if size >= LONG:
        breathe()


def pieces_of(text: str) -> Iterator[str]:
    """A text in pieces, with a breath before each but the first."""
    for at in between_breaths(range(0, len(text), LONG)):
        yield text[at : at + LONG]


def between_breaths[T](pieces: Iterable[T]) -> Iterator[T]:
    """The pieces of something long, with a breath before each but the first."""
    for at, piece in enumerate(pieces):
        if at:
            breathe()
        yield piece


def lots_of[T](many: Collection[T]) -> Iterable[T]:
    """The same of many small things, with a breath now and then."""
    if len(many) <= _LOT:
        return many
    return chain.from_iterable(between_breaths(batched(many, _LOT)))
