"""A request's body until it is let in: its share of the room, and the work of taking it in."""

from collections.abc import Callable

from addon.admission.body_room import Held
from addon.admission.problems import no_room, too_much_at_once
from addon.edge.plan import Planner
from addon.exchange.verdict import Reply, UpstreamCall
from addon.formats.neutral.problem import Problem
from addon.formats.wire.pace import Work

__all__ = ("Coming",)


class Coming:
    """One body."""

    def __init__(self, planner: Planner, owner: str) -> None:
        self._planner = planner
        self._body = bytearray()
        # mitmproxy's own buffer keeps each piece: one of two bytes takes forty.
        self._held = Held(owner, self._body.clear)
        self._work: Work[UpstreamCall | Reply] | None = None

    @property
    def lost(self) -> bool:
        """Whether it had to make room for others."""
        return bool(self._held.lost)

    @property
    def problem(self) -> Problem:
        """Why it was lost."""
        return too_much_at_once() if self._held.lost == "share" else no_room()

    def add(self, piece: bytes) -> bool:
        """Hold another piece, if there is room."""
        self._body += piece
        server = self._planner.server
        return self._planner.room.hold(
            self._held,
            len(self._body),
            most=server.waiting_bytes,
            most_of_owner=server.waiting_bytes_of_one,
        )

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return len(self._body)

    def take(self) -> bytes:
        """The whole body; it goes on holding its room."""
        body = bytes(self._body)
        self._body.clear()
        return body

    def begin(self, take_in: Callable[[], UpstreamCall | Reply]) -> None:
        """All has come: it may be taken in now."""
        self._work = Work(take_in, self._planner.clock.monotonic)
        self._planner.slices.workers += 1

    def go_on(self) -> bool:
        """Work for a slice; whether it is taken in."""
        return self._work is not None and self._work.go_on(self._planner.slices.seconds)

    def result(self) -> UpstreamCall | Reply:
        """What it has become. Raises what taking it in raised."""
        if self._work is None:
            raise RuntimeError("nobody has begun")
        return self._work.result()

    def leave(self) -> None:
        """It was let in, or its request has ended; a second time does nothing."""
        self._planner.room.leave(self._held)
        if self._work is not None:
            work, self._work = self._work, None
            self._planner.slices.workers -= 1
            if not work.done:
                work.stop()
