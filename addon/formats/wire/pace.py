"""Long work in slices: `breathe` stands between its pieces, and lets others go on when the
slice has had its time.

Nothing has to be written differently for that: the work runs in a greenlet, and outside of
one breathing does nothing. Between two breaths the work alone runs.
"""

from collections.abc import Callable, Iterable, Iterator

from greenlet import getcurrent, greenlet

__all__ = ("LONG", "Work", "between_breaths", "breathe", "breathe_for", "pieces_of")

LONG = 256 * 1024
"""Bytes or characters from which one pass over a text deserves a breath of its own: about a
quarter of a millisecond.
"""


class Work[T]:
    """A job that is done slice by slice."""

    def __init__(self, job: Callable[[], T], monotonic: Callable[[], float]) -> None:
        """`monotonic` tells seconds."""
        self._job = job
        self._monotonic = monotonic
        self._until = 0.0
        self._failure: BaseException | None = None
        self._results: list[T] = []
        self._greenlet = greenlet(self._run)
        self._greenlet.work = self

    def go_on(self, seconds: float) -> bool:
        """Work for about so long; whether the job is done."""
        self._until = self._monotonic() + seconds
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()
        return self.done

    @property
    def done(self) -> bool:
        return bool(self._greenlet.dead)

    def result(self) -> T:
        """What the job has come to; raises what it raised."""
        if self._failure is not None:
            raise self._failure
        return self._results[0]

    def stop(self) -> None:
        """Give the job up where it stands."""
        self._greenlet.parent = getcurrent()
        self._greenlet.throw()

    def _run(self) -> None:
        try:
            self._results.append(self._job())
        except Exception as error:
            self._failure = error

    def breathe(self) -> None:
        """Let others go on if the slice has had its time; within the job only."""
        if self._monotonic() >= self._until and self._greenlet.parent is not None:
            self._greenlet.parent.switch()


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
