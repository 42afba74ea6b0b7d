"""A request's body until it is let in: its share of the room, and the work of taking it in; and
what else the request makes work.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from addon.admission.body_room import Held
from addon.admission.problems import no_room, too_much_at_once
from addon.edge.plan import Planner
from addon.formats.neutral.problem import Problem
from addon.formats.wire.inflate import MAX_BYTES, Inflate
from addon.formats.wire.pace import Work

__all__ = ("Coming",)

BLOCK = 512 * 1024
"""Bytes of a body that are kept as one: a buffer that grows to the whole grows within the heap,
which can't give it back as long as something lies above it.
"""


class Coming:
    """One body, without its Content-Encoding: it counts with what it grows to."""

    def __init__(self, planner: Planner, owner: str, coding: str = "") -> None:
        self._planner = planner
        self._inflate = Inflate(coding)
        self._blocks: list[bytes] = []
        self._tail = bytearray()
        self._size = 0
        self._held = Held(owner, self._let_go)
        self._work: Work[Any] | None = None

    @property
    def lost(self) -> bool:
        """Whether it had to make room for others."""
        return bool(self._held.lost)

    @property
    def problem(self) -> Problem:
        """Why it was lost."""
        return too_much_at_once() if self._held.lost == "share" else no_room()

    def add(self, piece: bytes, most: int = MAX_BYTES) -> bool:
        """Hold another piece, if there is room. Raises Unreadable for one that is damaged, and
        TooLarge when a compressed body is then larger than `most` bytes.
        """
        piece = self._inflate.feed(piece, max(0, most - self._size))
        # mitmproxy's own buffer keeps each piece: one of two bytes takes forty.
        self._tail += piece
        self._size += len(piece)
        if len(self._tail) >= BLOCK:
            self._blocks.append(bytes(self._tail))
            self._tail.clear()
        server = self._planner.server
        return self._planner.room.hold(
            self._held,
            self._size,
            most=server.waiting_bytes,
            most_of_owner=server.waiting_bytes_of_one,
        )

    @property
    def size(self) -> int:
        """Bytes that have come, or that these have grown to."""
        return self._size

    def take(self) -> bytes:
        """The whole body; it goes on holding its room."""
        body = b"".join([*self._blocks, self._tail])
        self._let_go()
        return body

    def begin(self, job: Callable[[], Any]) -> None:
        """Work on this from now on: one job at a time."""
        self._work = Work(job, self._planner.clock.monotonic)
        self._planner.slices.workers += 1

    def go_on(self) -> bool:
        """Work for a slice; whether the job is done."""
        return self._work is not None and self._work.go_on(self._planner.slices.seconds)

    @property
    def awaited(self) -> Coroutine[Any, Any, None] | None:
        """What has to be there before the job can go on, if anything."""
        if self._work is not None and self._work.waits:
            return self._work.arrive()
        return None

    def result(self) -> Any:
        """What the job has come to. Raises what it raised."""
        if self._work is None:
            raise RuntimeError("nobody has begun")
        return self._work.result()

    def leave(self) -> None:
        """It was let in, a later job is done, or the request has ended; a second time does
        nothing.
        """
        self._planner.room.leave(self._held)
        self._let_go()
        if self._work is not None:
            work, self._work = self._work, None
            self._planner.slices.workers -= 1
            if not work.done:
                work.stop()

    def _let_go(self) -> None:
        self._blocks.clear()
        self._tail.clear()
